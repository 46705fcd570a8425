"""Benchmarks against other libraries: ``python -m benchmarks.training`` and ``.memory``.

Importing this package holds every library to one thread, which they read when they are loaded;
so it has to come before NumPy.
"""

import os

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}

os.environ.update(_ONE_THREAD)
