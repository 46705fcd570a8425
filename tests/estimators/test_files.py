"""Networks in files: what is kept, bit for bit, and what is refused in one clear line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

CLASSES = [
    pytest.param(np.array([3, 7, 11]), id="int64"),
    pytest.param(np.array([3, 7, 11], dtype=np.int8), id="int8"),
    pytest.param(np.array([3, 7, 11], dtype=np.uint16), id="uint16"),
    pytest.param(np.array([-1.0, 0.0, 2.0]), id="float64"),
    pytest.param(np.array([-1.0, 0.0, 2.0], dtype=np.float32), id="float32"),
    pytest.param(np.array(["ant", "bée", "蝉"]), id="text"),
    pytest.param(np.array(["ant", "bée", "a longer word"], dtype=object), id="object"),
    pytest.param(np.array([False, True, True]), id="bool"),
]

PARAMS: dict[str, Any] = {
    "schedule": Schedule("step", warmup=0.1, decay=0.5, every=0.25),
    "augment": Augmentation((2, 2), noise=0.1),
    "optimizer_options": {"beta1": 0.8},
    "dropout": (0.2, 0.1),
    "hidden_layer_sizes": (8, 6),
    "max_norm": 2.0,
    "batch_norm": "after",
    "batch_size": 20,
    "freeze": 1,
    "random_state": 5,
}


def saved(fitted: BaseMLP, path: Path) -> Any:
    """What is read again after ``fitted`` was written."""
    fitted.save(path)
    return type(fitted).load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_comes_back_bit_for_bit(kind: type[BaseMLP], tmp_path: Path) -> None:
    X, y = iris()[0], target_for(kind)
    fitted: Any = small(kind).fit(X, y, X_val=X, y_val=y)
    loaded = saved(fitted, tmp_path / "network.npz")
    assert type(loaded) is kind
    assert_same_network(loaded, fitted)
    assert loaded.architecture_ == fitted.architecture_
    assert loaded.n_features_in_ == 4
    assert not hasattr(loaded, "feature_names_in_")
    np.testing.assert_array_equal(loaded.history_["seconds"], fitted.history_["seconds"])
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.predict(X).dtype == fitted.predict(X).dtype
    assert loaded.score(X, y) == fitted.score(X, y)


@pytest.mark.parametrize("classes", CLASSES)
def test_classes_come_back_with_their_type(classes: NDArray[Any], tmp_path: Path) -> None:
    X, y = iris()
    fitted = small(MLPClassifier).fit(X, classes[y])
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.classes_.dtype == fitted.classes_.dtype == classes.dtype
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_labels_come_back(tmp_path: Path) -> None:
    X, y = iris()
    fitted = small(MLPClassifier).fit(X, np.column_stack([y == 0, y > 0]).astype(int))
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("outputs", [1, 2])
def test_numbers_come_back_in_their_units(outputs: int, tmp_path: Path) -> None:
    X, y = iris()[0], (iris()[0][:, :2] * 1e6 + 1e9)[:, :outputs].squeeze()
    fitted = small(MLPRegressor, loss="huber").fit(X, y)
    loaded = saved(fitted, tmp_path / "network")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.predict(X).shape == y.shape


def test_tasks_come_back(tmp_path: Path) -> None:
    X, y = iris()
    target = np.empty((150, 3), dtype=object)
    target[:, 0], target[:, 1], target[:, 2] = np.array(["a", "b", "c"])[y], X[:, 0], y > 0
    fitted = small(MLPMultiTask, loss_weights=(1, 2.5, 0.5)).fit(X, target)
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.tasks_ == ["classification", "regression", "classification"]
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()
    assert loaded.get_params() == fitted.get_params()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_come_back(kind: type[BaseMLP], tmp_path: Path) -> None:
    fitted = small(kind, **PARAMS).fit(iris()[0], target_for(kind))
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.get_params() == fitted.get_params()
    assert_same_network(loaded.fit(iris()[0], target_for(kind)), fitted)


@pytest.mark.parametrize(
    ("classes", "weight"),
    [
        ([0, 1, 2], "balanced"),
        ([0, 1, 2], {0: 2.0, 1: 0.5, 2: 1}),
        (["a", "b", "c"], {"a": 2.0, "b": 0.5, "c": 1.0}),
        ([False, True, True], {False: 2.0, True: 0.5}),
        ([0.5, 1.0, 2.0], {1.0: 3.0, 2.0: 1.0, 0.5: 1.0}),
    ],
    ids=str,
)
def test_weights_of_classes_come_back(classes: list[Any], weight: Any, tmp_path: Path) -> None:
    X, y = iris()
    target = np.array(classes)[y]
    if isinstance(classes[0], float):
        target = target * 2
        weight = {key * 2: value for key, value in weight.items()}
    fitted = small(MLPClassifier, class_weight=weight).fit(X, target)
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.class_weight == weight
    assert_same_network(loaded.fit(X, target), fitted)


def test_parameters_of_numpy_come_back_as_plain_ones(tmp_path: Path) -> None:
    params: dict[str, Any] = {
        "hidden_layer_sizes": np.array([8, 6]),
        "learning_rate": np.float32(0.25),
        "dropout": np.array([0.5, 0.25]),
        "random_state": np.int64(3),
        "class_weight": {np.int64(0): np.float64(2)},
    }
    loaded = saved(small(MLPClassifier, **params).fit(*iris()), tmp_path / "network")
    assert loaded.hidden_layer_sizes == (8, 6)
    assert (loaded.learning_rate, loaded.dropout) == (0.25, (0.5, 0.25))
    assert (loaded.random_state, loaded.class_weight) == (3, {0: 2.0})


def test_a_random_generator_and_a_source_stay_behind(tmp_path: Path) -> None:
    source = small(MLPClassifier).fit(*iris())
    state = np.random.RandomState(0)
    fitted = small(MLPClassifier, random_state=state, init_from=source).fit(*iris())
    loaded = saved(fitted, tmp_path / "network")
    assert loaded.random_state is None
    assert loaded.init_from is None
    np.testing.assert_array_equal(loaded.params_, fitted.params_)


def test_a_diverged_network_stays_diverged(tmp_path: Path) -> None:
    X, y = iris()
    (member,) = small(MLPClassifier, optimizer="sgd").fit_many(X, y, [{"learning_rate": 1e30}])
    with pytest.raises(ValueError, match="diverged; it cannot predict"):
        saved(member, tmp_path / "network").predict(X)


def test_a_loaded_network_is_a_source_and_learns_on(tmp_path: Path) -> None:
    X, y = iris()
    fitted = small(MLPClassifier).fit(X, y)
    loaded = saved(fitted, tmp_path / "network")
    by_loaded = small(MLPClassifier, init_from=loaded).fit(X, y)
    assert_same_network(by_loaded, small(MLPClassifier, init_from=fitted).fit(X, y))
    before = loaded.history_["train_loss"][-1]
    assert loaded.partial_fit(X, y).history_["train_loss"][-1] < before
    assert loaded.n_iter_ == 4


@pytest.mark.parametrize("state", [7, None])
def test_without_a_state_a_loaded_network_goes_on_as_the_saved_one(
    state: int | None, tmp_path: Path
) -> None:
    """Its rows come in the orders that would have come, and other units are dropped."""
    X, y = iris()
    fitted = small(MLPClassifier, optimizer="sgd", dropout=0.3, random_state=state).fit(X, y)
    loaded = saved(fitted.partial_fit(X, y), tmp_path / "network")
    for _ in range(2):
        assert_same_network(loaded.partial_fit(X, y), fitted.partial_fit(X, y))
    assert loaded.n_iter_ == 6


def test_a_loaded_network_may_go_on_with_another_optimiser(tmp_path: Path) -> None:
    X, y = iris()
    loaded = saved(small(MLPClassifier).fit(X, y), tmp_path / "network")
    loaded.set_params(optimizer="momentum", freeze=1).partial_fit(X, y)
    with pytest.raises(ValueError, match="hidden_layer_sizes was"):
        loaded.set_params(hidden_layer_sizes=(9,)).partial_fit(X, y)


def test_a_loaded_network_begins_the_state_of_the_optimiser_anew(tmp_path: Path) -> None:
    X, y = iris()
    params = {"batch_size": 150, "learning_rate": 0.02}
    loaded = saved(small(MLPClassifier, **params).fit(X, y), tmp_path / "network")
    anew = small(MLPClassifier, **params, init_from=loaded)
    expected = anew.partial_fit(X, y).params_
    np.testing.assert_allclose(loaded.partial_fit(X, y).params_, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_network_gives_the_same_bytes(kind: type[BaseMLP], tmp_path: Path) -> None:
    fitted = small(kind).fit(iris()[0], target_for(kind))
    first, second, third = (tmp_path / name for name in ("a.npz", "b", "c"))
    fitted.save(first)
    fitted.save(str(second))
    assert first.read_bytes() == second.read_bytes()
    saved(fitted, first).save(third)
    assert first.read_bytes() == third.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_no_array_of_the_file_is_pickled(kind: type[BaseMLP], tmp_path: Path) -> None:
    target = target_for(kind).astype(str).astype(object) if kind is MLPClassifier else None
    path = tmp_path / "network.npz"
    small(kind).fit(iris()[0], target_for(kind) if target is None else target).save(path)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert json.loads(arrays["document"].tobytes())["class"] == kind.__name__
    assert not any(array.dtype.hasobject for array in arrays.values())


def test_a_network_that_is_not_fitted_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        small(MLPClassifier).save(tmp_path / "network")
    assert not list(tmp_path.iterdir())


def test_a_network_of_another_class_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "network"
    small(MLPRegressor).fit(iris()[0], iris()[1]).save(path)
    with pytest.raises(ValueError, match="holds a MLPRegressor"):
        MLPClassifier.load(path)


def assert_refused(path: Path) -> None:
    """One line, that names the file."""
    with pytest.raises(ValueError, match=path.name) as caught:
        MLPClassifier.load(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small file."""
    path = tmp_path_factory.mktemp("network") / "network"
    X, y = iris()
    small(MLPClassifier, hidden_layer_sizes=(3,), class_weight={0: 2.0}).fit(X, y).save(path)
    return path.read_bytes()


def test_a_truncated_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        assert_refused(path)


def test_a_changed_bit_is_refused_or_does_not_matter(content: bytes, tmp_path: Path) -> None:
    path, expected = tmp_path / "network.npz", None
    path.write_bytes(content)
    expected = MLPClassifier.load(path)
    refused, rng = 0, np.random.default_rng(0)
    for place in rng.choice(len(content), 150, replace=False):
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        try:
            loaded = MLPClassifier.load(path)
        except ValueError:
            refused += 1
        else:
            assert_same_network(loaded, expected)
    assert refused > 75


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"these are words\n", id="text"),
        pytest.param(b'{"format": "hpo.estimator.1"}', id="json"),
        pytest.param(pickle.dumps({"params": [1.0]}), id="pickle"),
        pytest.param(b"PK\x05\x06" + bytes(18), id="empty zip"),
    ],
)
def test_a_foreign_file_is_refused(foreign: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    path.write_bytes(foreign)
    assert_refused(path)


def test_foreign_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(3))
    assert_refused(path)
    objects: Any = np.array([{}, None], dtype=object)
    np.savez(path, document=objects)
    assert_refused(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"network\.npz"):
        MLPClassifier.load(tmp_path / "network.npz")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "network.npz"
    folder.mkdir()
    assert_refused(folder)
    with pytest.raises(OSError, match=r"network\.npz"):
        small(MLPClassifier).fit(*iris()).save(folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_what_cannot_be_written_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "network.npz"
    fitted = small(MLPClassifier).fit(*iris())
    fitted.save(path)
    before = path.read_bytes()

    def full(file: Any, **_arrays: Any) -> None:
        file.write(b"PK")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        fitted.partial_fit(*iris()).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "network.npz", tmp_path / "latest"
    fitted = small(MLPClassifier).fit(*iris())
    fitted.save(path)
    link.symlink_to(path)
    fitted.partial_fit(*iris()).save(link)
    assert link.is_symlink()
    assert_same_network(MLPClassifier.load(path), fitted)


def edit(
    change: Callable[[dict[str, Any], dict[str, Any]], None], content: bytes, to: Path
) -> None:
    """Write the file again after ``change`` of its document and its arrays."""
    to.write_bytes(content)
    with np.load(to) as file:
        arrays = {name: file[name] for name in file.files}
    document = json.loads(arrays["document"].tobytes())
    change(document, arrays)
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    np.savez(to, **arrays)


ABSURD: list[Any] = [None, True, -1, 1e400, 10**400, "x", [], [1], {}, [None], float("nan"), [{}]]


def test_absurd_values_in_the_document_are_no_other_error_than_a_value_error(
    content: bytes, tmp_path: Path
) -> None:
    """Every entry, one after the other, replaced by what it never is."""
    path, wrong = tmp_path / "network.npz", []
    path.write_bytes(content)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    document = json.loads(arrays["document"].tobytes())

    def load(where: str) -> None:
        arrays["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
        np.savez(path, **arrays)
        try:
            MLPClassifier.load(path)
        except ValueError:
            pass
        except Exception as error:
            wrong.append(f"{where}: {error!r}")

    def walk(part: Any, where: str) -> None:
        pairs = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in list(pairs):
            if where == ".parameters" and key not in ("schedule", "class_weight", "augment"):
                continue
            for absurd in ABSURD:
                part[key] = absurd
                load(f"{where}.{key} = {str(absurd)[:9]}")
            part[key] = value
            if isinstance(value, dict | list):
                walk(value, f"{where}.{key}")

    walk(document, "")
    assert wrong == []


DAMAGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "another format": lambda document, _: document.update(format="hpo.estimator.999"),
    "no class": lambda document, _: document.pop("class"),
    "no parameters": lambda document, _: document.pop("parameters"),
    "an unknown parameter": lambda document, _: document["parameters"].update(unknown=1),
    "an unknown activation": lambda document, _: document["architecture"].update(activation="x"),
    "an unknown loss": lambda document, _: document["architecture"]["heads"][0].update(loss="x"),
    "other layers": lambda document, _: document["architecture"].update(hidden=[4]),
    "layers without end": lambda document, _: document["architecture"].update(hidden=[10**15]),
    "no coders": lambda document, _: document.update(coders=[]),
    "too many names": lambda document, _: document.update(feature_names=["a"] * 5),
    "fewer parameters": lambda _, arrays: arrays.update(params=arrays["params"][:-1]),
    "double parameters": lambda _, arrays: arrays.update(params=arrays["params"].astype(float)),
    "parameters that are NaN": lambda _, arrays: arrays["params"].fill(np.nan),
    "a scale that is NaN": lambda _, arrays: arrays["factor"].fill(np.nan),
    "other scales": lambda _, arrays: arrays.update(centre=arrays["centre"][:3]),
    "scales of words": lambda _, arrays: arrays.update(centre=np.array(["a"] * 4)),
    "classes in a table": lambda _, arrays: arrays.update({"0.classes": np.zeros((3, 2))}),
    "classes out of order": lambda _, arrays: arrays.update({"0.classes": np.array([2, 1, 0])}),
    "a class twice": lambda _, arrays: arrays.update({"0.classes": np.array([0, 1, 1])}),
    "a seed of words": lambda document, _: document.update(seed="lucky"),
    "layers of half units": lambda document, _: document["architecture"].update(hidden=[3.0]),
    "a negative scale": lambda _, arrays: np.negative(arrays["factor"], out=arrays["factor"]),
    "scales of single precision": lambda _, arrays: arrays.update(
        centre=arrays["centre"].astype(np.float32)
    ),
    "no history": lambda _, arrays: arrays.pop("history.train_loss"),
    "a longer history": lambda _, arrays: arrays.update({"history.seconds": np.zeros(9)}),
    "names that are no texts": lambda document, _: document.update(feature_names=[1, 2, 3, 4]),
    "a class of several lines": lambda document, _: document.update({"class": "a\nb"}),
    "two classes": lambda _, arrays: arrays.update({"0.classes": np.arange(2)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_document_is_refused(damage: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    edit(DAMAGES[damage], content, path)
    assert_refused(path)


def test_an_edit_of_nothing_is_no_damage(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    edit(lambda _document, _arrays: None, content, path)
    assert MLPClassifier.load(path).predict(iris()[0]).shape == (150,)
