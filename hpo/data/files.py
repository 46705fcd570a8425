"""Finding the file that the user means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.data.errors import DataError
from hpo.data.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_file(source: str, other_names: Sequence[str] = ()) -> Path:
    """Return the absolute path of a regular file that can be read.

    `other_names` are what the user may have meant instead of a file.

    Raises
    ------
    DataError
        It is not there, a folder, a link to nothing, no regular file, or may not be read.
    """
    path = Path(source)
    try:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{source} is a link to nothing ({path.readlink()}): correct the link")
        if path.is_dir():
            raise DataError(f"{source} is a folder: name a file in it")
        if not path.exists():
            raise DataError(_not_there(path, other_names))
        if not path.is_file():
            raise DataError(f"{source} is no regular file: save the data to a file first")
        with path.open("rb"):
            return path.absolute()
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}") from None


def beginning(path: Path) -> bytes:
    """Return the first 8 bytes of a file."""
    with path.open("rb") as file:
        return file.read(8)


def name_of(path: Path) -> str:
    """Return the file's stem; of `mnist-images-idx3-ubyte.gz`, `mnist`."""
    name = path.name.removesuffix(".gz")
    images = re.match(r"(.+?)[-._]images[-._]idx3", name)
    return images[1] if images else Path(name).stem


def _not_there(path: Path, other_names: Sequence[str]) -> str:
    folder = path.parent
    neighbours = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    question = did_you_mean(path.name, [*other_names, *neighbours])
    if path.suffix or len(path.parts) > 1 or not other_names:
        return f"{path}: there is no such file{question}"
    sets = ", ".join(other_names)
    return f"{path} is neither a file nor a data set of scikit-learn ({sets}){question}"
