"""What is raised when the data cannot be used.

Exception
└── DataError           the data are at fault; the message is one line: what, where, what to do
    └── TargetRequired  nobody said which column is to be predicted
"""


class DataError(Exception):
    """The data given cannot be used.

    The message is one line, whatever stands in the file that it speaks about: characters that are
    not printable are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class TargetRequired(DataError):  # noqa: N818  # a request, not a fault in the data
    """The file has no target of its own: the caller must name a column."""
