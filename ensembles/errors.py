"""What can be wrong beside a parameter or the data, which raise ``ValueError`` as elsewhere."""


class LeakError(ValueError):
    """A prediction for a row comes from a model that was trained on it."""
