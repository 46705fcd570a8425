"""Stacks of multilayer perceptrons in NumPy; the first axis of every array is the member."""
