"""The search of the reports' tests, which is made once for both."""

from tests.report.conftest import evil

__all__ = ["evil"]
