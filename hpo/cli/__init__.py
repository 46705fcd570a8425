"""The ``hpo`` command: options to experiment to text. The only place that prints and exits."""

import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run the command and exit with its code."""
    if stranger := shadowing("storage"):
        sys.exit(
            f"hpo: another package answers to the name 'storage': {stranger}; "
            "run hpo from another folder, or rename it"
        )
    from hpo.cli.app import main as run

    run()


def shadowing(package: str) -> str | None:
    """Where ``package`` comes from if it is not the one that was installed beside ``hpo``.

    Its name is a common one, and ``python -m hpo`` looks into the current folder first.
    """
    spec = find_spec(package)
    ours = Path(__file__).parents[2] / package / "__init__.py"
    origin = spec.origin if spec is not None else None
    return None if origin is not None and Path(origin).samefile(ours) else str(origin)
