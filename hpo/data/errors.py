"""What is raised when the data cannot be used.

Exception
└── DataError        the data are at fault; the message is one line: what, where, what to do
    └── OptionError  the data are fine, but an option is missing or does not fit them
"""


class DataError(Exception):
    """The data given cannot be used.

    The message is one line, whatever stands in the file that it speaks about: characters that are
    not printable are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class OptionError(DataError):
    """The data need an option that was not given, or one was given that they have no use for."""
