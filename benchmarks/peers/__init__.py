"""The contestants: each module has ``contestant(workload, members)``.

It returns a function without arguments that initialises and trains ``members`` networks, or one
where the library knows no stacks, and returns their mean validation accuracy after the last epoch.
What can be done once for many runs, moving the data into the library and compiling, is done by
``contestant`` or in its first run, which is not timed.
"""
