"""Data sets of OpenML, from a server on loopback."""

from __future__ import annotations

import gc
import socket
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import _openml

from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load, load_features
from hpo.data.openml import cache_folder
from tests.data.making import refusal
from tests.openml import Openml, point_to, serving


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """What there was before is no garbage of these tests, and takes long to look through."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """Scikit-learn leaves answers that are errors to the garbage collector, which warns of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def openml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Openml]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_openml.time, "sleep", lambda _: None)  # between tries
    with serving(Openml()) as openml:
        point_to(openml.url, monkeypatch)
        yield openml


@pytest.mark.parametrize("source", ["openml:61", "openml:flowers", "openml:Flowers", "openml: 61"])
@pytest.mark.usefixtures("openml")
def test_a_set_by_its_number_or_name(source: str) -> None:
    dataset = load(source)
    assert (dataset.name, dataset.source) == ("flowers", "openml:61")
    features, target = dataset.features, dataset.target
    assert features.columns == ("petal length", "colour", "note"), "and no row number"
    assert features.numeric_names == ("petal length",)
    assert np.flatnonzero(np.isnan(features.numeric[:, 0])).tolist() == [5]
    assert features.vocabularies[0] == ("blue", "dark red", "red")
    assert (target.name, target.vocabulary) == ("kind", ("rose", "tulip"))
    assert target.values.tolist() == [i % 2 for i in range(40)]
    assert dataset.warnings == ()


@pytest.mark.usefixtures("openml")
def test_another_target() -> None:
    dataset = load("openml:61", target="colour")
    assert dataset.features.columns == ("petal length", "note", "kind")
    assert refusal("openml:61", target="color") == (
        "openml:61: there is no column 'color'; the columns are: petal length, colour, note, kind; "
        "did you mean 'colour'?"
    )


@pytest.mark.usefixtures("openml")
def test_groups_and_new_rows() -> None:
    dataset = load("openml:61", group="note")
    assert dataset.features.columns == ("petal length", "colour")
    table = load_features("openml:61", numeric=["petal length"], text=["colour"])
    np.testing.assert_array_equal(table.numeric, dataset.features.numeric)
    assert table.vocabularies == dataset.features.vocabularies


def test_what_was_loaded_is_kept(openml: Openml) -> None:
    first = load("openml:61")
    count = len(openml.asked)
    assert count > 2
    openml.status = 500
    again = load("openml:61")
    assert len(openml.asked) == count
    np.testing.assert_array_equal(again.features.codes, first.features.codes)
    assert any(cache_folder().rglob("*.arff.gz"))


def test_where_sets_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hpo"
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("XDG_CACHE_HOME")
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == Path.home() / ".cache" / "hpo"


def test_the_oldest_of_several_versions_is_taken_and_told(openml: Openml) -> None:
    openml.versions = 2
    assert load("openml:flowers").warnings == (
        "openml:flowers: of several versions, 1 was taken; it is openml:61",
    )


def test_what_openml_warns_of_is_told(openml: Openml) -> None:
    openml.described = {"status": "deactivated"}
    (line,) = load("openml:61").warnings
    assert line.startswith("openml:61: Version 1 of dataset flowers is inactive, meaning that")
    assert "\n" not in line


@pytest.mark.parametrize(("source", "by"), [("openml:7", "number"), ("openml:trees", "name")])
@pytest.mark.usefixtures("openml")
def test_a_set_that_is_not_there(source: str, by: str) -> None:
    assert refusal(source) == (
        f"{source}: openml.org has no active set of this {by}; look it up there"
    )


@pytest.mark.parametrize("name", ["a b/../c", "?", "%41", "ü", "61x", "-1"])
def test_no_name_breaks_the_address(openml: Openml, name: str) -> None:
    assert "has no active set of this name" in refusal(f"openml:{name}")
    assert len(openml.asked) == 1
    assert openml.asked[0].startswith("/api/v1/json/data/list/data_name/")


def test_no_name_at_all() -> None:
    assert refusal("openml:") == (
        "openml:: name a set by its number or name, as openml:61 or openml:iris"
    )


@pytest.mark.parametrize("targets", [(), ("kind", "colour")])
def test_no_default_target_or_several(openml: Openml, targets: tuple[str, ...]) -> None:
    openml.targets = targets
    with pytest.raises(
        OptionError, match=r"^openml:61: say which column to predict, with --target"
    ):
        load("openml:61")
    assert load("openml:61", target="kind").target.name == "kind"


def test_a_default_target_with_missing_cells(openml: Openml) -> None:
    openml.missing = {"kind": 3}
    assert refusal("openml:61") == (
        "openml:61: Target column 'kind' has 3 missing values; predict another with --target"
    )
    assert load("openml:61", target="colour").target.name == "colour"


def test_a_sparse_set(openml: Openml) -> None:
    openml.described = {"format": "Sparse_ARFF"}
    assert refusal("openml:61") == (
        "openml:61 is a sparse set, and these are not read; save it as a dense table"
    )


def test_a_set_that_comes_damaged(openml: Openml) -> None:
    openml.described = {"md5_checksum": "0" * 32}
    assert refusal("openml:61") == (
        "openml:61 came damaged: its checksum is not the one announced; try again later"
    )


def test_a_set_that_is_no_arff(openml: Openml) -> None:
    openml.arff = "nothing"
    line = refusal("openml:61")
    assert line.startswith("openml:61: cannot be used (")


def test_no_network(openml: Openml, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        for name, value in list(vars(_openml).items()):
            if isinstance(value, str) and value.startswith(openml.url):
                monkeypatch.setattr(_openml, name, value.replace(openml.url, url))
        assert refusal("openml:61") == (
            "openml:61: openml.org cannot be reached ([Errno 111] Connection refused); check the "
            "network, or save the data to a file"
        )


def test_a_network_that_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_openml.time, "sleep", lambda _: None)
    monkeypatch.setattr("hpo.data.openml._PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        point_to(f"http://127.0.0.1:{server.getsockname()[1]}", monkeypatch)
        assert refusal("openml:61").startswith(
            "openml:61: openml.org cannot be reached (timed out); check the network"
        )
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("status", "says"), [(500, "answers 500 (Internal Server Error); try"), (404, "no active set")]
)
def test_a_server_out_of_order(openml: Openml, status: int, says: str) -> None:
    openml.status = status
    assert says in refusal("openml:61")


def test_a_folder_that_cannot_be_written(
    openml: Openml, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert refusal("openml:61") == (
        f"openml:61: {tmp_path}/file/hpo, where sets are kept, cannot be used (Not a directory); "
        "set XDG_CACHE_HOME to another folder"
    )
    assert openml.asked == []


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    with pytest.raises(OptionError) as caught:
        load("openml:61")
    assert str(caught.value) == (
        "openml:61: OpenML's sets need pandas and pyarrow: pip install 'hpo-stacks[openml]'"
    )


def test_options_without_effect() -> None:
    for options, says in (
        ({"labels": "l"}, "leave --labels 'l' out"),
        ({"header": False}, "--no-header"),
    ):
        with pytest.raises(DataError, match=says):
            load("openml:61", **options)
