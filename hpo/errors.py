"""Errors whose message is one clear line for the user: what, where, what to do."""


class UsageError(Exception):
    """An option, or a mismatch with what the stored study was made with."""


class ClusterError(Exception):
    """A cluster that cannot be reached, or that was lost."""


class NoFiniteTrialError(Exception):
    """Every trial failed, so there is no winner."""
