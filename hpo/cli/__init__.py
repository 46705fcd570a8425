"""The ``hpo`` command: options to experiment to text. The only place that prints and exits."""

from hpo.cli.app import main

__all__ = ["main"]
