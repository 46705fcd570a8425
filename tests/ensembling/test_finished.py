"""``hpo.Experiment`` beside what the commands say, and the numbers that a search has stored."""

from __future__ import annotations

import csv
import io
import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)
from sklearn.utils.validation import check_is_fitted

from ensembles import StackingClassifier, StackingRegressor
from hpo import Experiment
from hpo.cli.app import run
from hpo.data.splitting import Split, split_rows
from hpo.data.target_encoding import TargetEncoding
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.fitted import StudyClassifier, StudyRegressor, labels_of
from hpo.persistence import Network
from hpo.python_words import translated
from storage.errors import ArtifactError, StorageError
from tests.running import Hpo
from tests.storage.golden.making import DATABASE, FOLDER, NETWORKS
from tests.storage.looking import content, sql

TINY = ("--trials", "3", "--rounds", "1", "--hidden", "8", "--epochs", "4", "--repeats", "0")
COLUMNS = ["colour", "size", "mood"]


@pytest.fixture(scope="session")
def more(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which digits, a table with texts, and wine over folds were searched, too."""
    folder = tmp_path_factory.mktemp("more")
    shutil.copytree(searched, folder, dirs_exist_ok=True)
    write_mixed(folder / "mixed.csv")
    place = ("--storage", f"sqlite:///{folder / 'hpo.db'}", "--workers", "1")
    assert run(["search", "digits", *TINY, *place]) == 0
    mixed = (str(folder / "mixed.csv"), "--target", "y", "--group", "who")
    assert run(["search", *mixed, *TINY, *place]) == 0
    assert run(["search", "wine", *TINY, "--cv", "3", "--repeats", "2", *place]) == 0
    return folder


@pytest.fixture
def folder(more: Path, tmp_path: Path) -> Path:
    """A copy of it in an empty folder; the data stay where they were."""
    shutil.copytree(more, tmp_path, dirs_exist_ok=True)
    return tmp_path


def write_mixed(path: Path) -> None:
    """Numbers and texts, some missing; a text and a number decide the class; rows of groups."""
    generator = np.random.default_rng(0)
    colours = generator.choice(["red", "green", "blue", ""], 150)
    sizes = generator.normal(size=150)
    moods = generator.choice(["good", "bad"], 150)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "who", "y"])
        for row, (colour, size, mood) in enumerate(zip(colours, sizes, moods, strict=True)):
            y = "yes" if (size > 0) ^ (colour == "red") else "no"
            cell = "" if size > 1.5 else repr(float(size))
            writer.writerow([colour, cell, mood, f"p{row % 40}", y])


def opened(folder: Path, study: str, **more: Any) -> Experiment:
    return Experiment.open(study, storage=f"sqlite:///{folder}/hpo.db", **more)


def arrays(study: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """All rows of a set of scikit-learn, as it gives them; classes as texts, but for digits."""
    if study == "diabetes":
        X, y = load_diabetes(return_X_y=True, scaled=False)
        return X, y
    bunch = {"iris": load_iris, "wine": load_wine, "digits": load_digits}[study]()
    y = bunch.target if study == "digits" else bunch.target_names[bunch.target]
    return bunch.data, y


def parts(folder: Path, study: str) -> Split:
    """The split of a study, as its row has it."""
    query = (
        "SELECT split FROM hpo_experiments JOIN study_user_attributes ON value_json = "
        "'\"' || uid || '\"' JOIN studies USING (study_id) WHERE study_name = ?"
    )
    ((packed,),) = sql(folder / "hpo.db", query, study)
    return Split.from_bytes(packed)


def scores(folder: Path, study: str) -> dict[int, float]:
    """Number of a trial -> its first value."""
    query = (
        "SELECT number, value FROM trial_values JOIN trials USING (trial_id) JOIN studies USING "
        "(study_id) WHERE study_name = ?"
    )
    return dict(sql(folder / "hpo.db", query, study))


def stored_predictions(folder: Path, study: str) -> dict[int, NDArray[np.float32]]:
    query = (
        "SELECT number, outputs, data FROM hpo_predictions JOIN study_user_attributes ON "
        "value_json = '\"' || experiment || '\"' JOIN studies USING (study_id) "
        "WHERE study_name = ?"
    )
    return {
        number: np.frombuffer(data, "<f4").reshape(-1, outputs)
        for number, outputs, data in sql(folder / "hpo.db", query, study)
    }


def proper(prediction: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities that add up to 1 in double precision."""
    doubles = prediction.astype(np.float64)
    shares: NDArray[np.float64] = doubles / doubles.sum(axis=1, keepdims=True)
    return shares


# Networks


@pytest.mark.parametrize("study", ["iris", "diabetes", "digits"])
def test_the_best_networks_come_best_first_and_tell_where_they_come_from(
    more: Path, study: str
) -> None:
    networks = opened(more, study).networks(top=3)
    values = scores(more, study)
    ranking = sorted(values, key=lambda number: (-values[number], number))[:3]
    assert [each.trial_ for each in networks] == ranking
    assert [each.validation_ for each in networks] == [values[number] for number in ranking]
    X, y = arrays(study)
    own = parts(more, study).validation
    for each in networks:
        assert each.score(X[own], y[own]) == pytest.approx(each.validation_, abs=1e-6)
        assert set(each.trial_params_) == {"learning_rate", "weight_decay"}
        assert 1e-5 <= each.trial_params_["learning_rate"] <= 0.1


@pytest.mark.parametrize("study", ["iris", "digits"])
def test_probabilities_are_the_stored_ones_bit_for_bit(more: Path, study: str) -> None:
    X, _ = arrays(study)
    stored, own = stored_predictions(more, study), parts(more, study).validation
    for each in opened(more, study).networks(top=None):
        assert isinstance(each, StudyClassifier)
        found = each.predict_proba(X[own])
        assert found.tobytes() == proper(stored[each.trial_ or 0]).tobytes()
        assert (each.predict(X[own]) == each.classes_[found.argmax(axis=1)]).all()


def test_values_are_the_stored_ones_in_the_units_of_the_data(more: Path) -> None:
    X, y = arrays("diabetes")
    split, stored = parts(more, "diabetes"), stored_predictions(more, "diabetes")
    mean, deviation = y[split.train].mean(), y[split.train].std()
    networks = opened(more, "diabetes").networks(top=None)
    assert len(networks) == 6
    for each in networks:
        units = stored[each.trial_ or 0][:, 0].astype(np.float64) * deviation + mean
        np.testing.assert_allclose(each.predict(X[split.validation]), units, rtol=1e-12)


def test_a_network_of_folds_is_the_mean_of_a_trials_networks(more: Path) -> None:
    experiment = opened(more, "wine")
    X, _ = arrays("wine")
    network = experiment.networks(top=1)[0]
    ((_, stored),) = experiment.stored(top=1)
    assert isinstance(network, StudyClassifier)
    assert len(stored.models) == 3
    mean = np.mean([each.predict_proba(X) for each in stored.models], axis=0)
    np.testing.assert_allclose(network.predict_proba(X), mean, atol=1e-6)


def test_classes_are_what_the_data_say(more: Path) -> None:
    """Numbers where all of them are, or a user's own could not be compared with them."""
    kinds = {"iris": "U", "digits": "i", "mixed": "U"}
    for study, kind in kinds.items():
        model = opened(more, study).model()
        assert isinstance(model, StudyClassifier)
        assert model.classes_.dtype.kind == kind
    digits = opened(more, "digits").model("winner")
    assert isinstance(digits, StudyClassifier)
    assert digits.classes_.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("0", "1", "10"), [0, 1, 10]),
        (("-3", "0"), [-3, 0]),
        (("0", "1", "10", "2"), ["0", "1", "10", "2"]),  # in the order of texts
        (("01", "1"), ["01", "1"]),
        (("1", "a"), ["1", "a"]),
        (("1", "1" + "0" * 30), ["1", "1" + "0" * 30]),
    ],
)
def test_labels(classes: tuple[str, ...], expected: list[Any]) -> None:
    assert labels_of(TargetEncoding("y", "classification", classes, 0, 1)).tolist() == expected


# What `hpo predict` says


def predicted(hpo: Hpo, folder: Path, *arguments: object) -> list[list[str]]:
    ran = hpo("predict", *arguments, "--storage", f"sqlite:///{folder}/hpo.db")
    assert ran.code == 0, ran.err
    return list(csv.reader(io.StringIO(ran.out)))[1:]


def as_said(estimator: Any, X: Any) -> list[list[str]]:
    """What an estimator says, as the command writes it."""
    if is_regressor(estimator):
        return [[repr(value)] for value in estimator.predict(X).tolist()]
    return [
        [str(label), *map(repr, row)]
        for label, row in zip(
            estimator.predict(X).tolist(), estimator.predict_proba(X).tolist(), strict=True
        )
    ]


def test_the_command_says_the_same_bit_for_bit(hpo: Hpo, folder: Path) -> None:
    images, _ = arrays("digits")
    np.savez(folder / "digits.npz", X=images.reshape(-1, 8, 8).astype(np.uint8))
    assert predicted(hpo, folder, "digits", "--input", "digits.npz", "--proba") == as_said(
        opened(folder, "digits").model(), images
    )
    for study in ("iris", "diabetes"):
        model = opened(folder, study).model()
        X = pd.DataFrame(arrays(study)[0], columns=model.feature_names_in_)
        # pandas' own way of writing numbers loses bits of some.
        X.map(repr).to_csv(folder / "new.csv", index=False)
        proba = ("--proba",) if is_classifier(model) else ()
        assert predicted(hpo, folder, study, "--input", "new.csv", *proba) == as_said(model, X)


@pytest.mark.parametrize("library", [pd, pl])
def test_cells_that_are_missing_or_new_are_dealt_with_as_the_command_does(
    hpo: Hpo, folder: Path, library: Any
) -> None:
    new: dict[str, list[Any]] = {
        "mood": ["good", "bad", None, "NA", " bad "],
        "id": list("abcde"),
        "size": [1.5, None, -2.0, None, 0.25],
        "colour": ["red", "red", "violet", None, ""],
    }
    pd.DataFrame(new).to_csv(folder / "new.csv", index=False)
    model = opened(folder, "mixed").model()
    assert model.feature_names_in_.tolist() == COLUMNS
    expected = predicted(hpo, folder, "mixed", "--input", "new.csv", "--proba")
    assert as_said(model, library.DataFrame(new)) == expected


def test_the_model_without_a_name_has_the_best_promise(folder: Path) -> None:
    experiment = opened(folder, "iris")
    winner = experiment.model()
    assert (winner.model, winner.expected_, winner.record_) == ("winner", None, {})
    assert winner.trial_ == experiment.networks(1)[0].trial_
    built = experiment.ensemble("mean", with_="knn", top=1, folds=3, workers=1)
    assert built.expected_ is not None
    again = experiment.model()
    assert (again.model, again.trial_, again.validation_) == ("ensemble", None, None)
    assert (again.expected_, again.record_) == (built.expected_, built.record_)
    X, _ = arrays("iris")
    assert again.predict_proba(X).tobytes() == built.predict_proba(X).tobytes()


def test_a_winner_that_was_trained_again_tells_how_it_was_chosen(more: Path) -> None:
    winner = opened(more, "wine").model("winner")
    assert winner.trial_ in scores(more, "wine")
    assert winner.validation_ == scores(more, "wine")[winner.trial_]
    assert winner.record_["expected"] == winner.expected_
    assert winner.expected_se_ is not None
    assert isinstance(winner.model_, Network)
    assert len(winner.model_.params) == 6


# As scikit-learn wants them


def test_they_are_fitted_estimators(more: Path) -> None:
    for study, kind in (("iris", StudyClassifier), ("diabetes", StudyRegressor)):
        network = opened(more, study).networks(1)[0]
        assert isinstance(network, kind)
        assert is_classifier(network) == (kind is StudyClassifier)
        check_is_fitted(network)
        assert network.get_params() == {"study": study, "model": f"trial {network.trial_}"}
        assert repr(network) == f"{kind.__name__}(model='trial {network.trial_}', study='{study}')"
        assert network.n_features_in_ == len(network.feature_names_in_) == arrays(study)[0].shape[1]
        assert get_tags(network).input_tags.allow_nan
        X, _ = arrays(study)
        copy = pickle.loads(pickle.dumps(network))
        assert copy.predict(X).tolist() == network.predict(X).tolist()


def test_tags_say_what_rows_may_be(more: Path) -> None:
    images = get_tags(opened(more, "digits").model()).input_tags
    assert (images.three_d_array, images.allow_nan, images.string) == (True, False, False)
    mixed = get_tags(opened(more, "mixed").model()).input_tags
    assert (mixed.three_d_array, mixed.allow_nan, mixed.string) == (False, True, True)


def test_they_keep_the_conventions_of_scikit_learn(more: Path) -> None:
    for study in ("iris", "diabetes"):
        network = opened(more, study).networks(1)[0]
        for check in (
            check_parameters_default_constructible,
            check_get_params_invariance,
            check_set_params,
            check_no_attributes_set_in_init,
        ):
            check(type(network).__name__, clone(network))
        assert "Fitted" in network._repr_html_()


def test_a_clone_has_no_network_and_says_where_it_is(more: Path) -> None:
    network = opened(more, "iris").networks(1)[0]
    copy = clone(network)
    assert copy.get_params() == network.get_params()
    get_tags(copy)
    with pytest.raises(NotFittedError, match=r"this StudyClassifier is .*open\('iris'\) has the m"):
        copy.predict(arrays("iris")[0])


def test_to_train_one_is_refused_in_one_line(more: Path) -> None:
    X, y = arrays("iris")
    network = opened(more, "iris").networks(1)[0]
    line = r"^StudyClassifier was trained by a study .*FrozenEstimator\(model\) to .*hpo.MLPClass"
    with pytest.raises(ValueError, match=line) as caught:
        network.fit(X, y)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=line):
        cross_val_score(network, X, y, error_score="raise")


def test_frozen_ones_are_parts_of_other_estimators(more: Path) -> None:
    X, y = arrays("iris")
    own = parts(more, "iris").validation
    network = opened(more, "iris").networks(1)[0]
    frozen = FrozenEstimator(network)
    assert frozen.fit(X, y).predict(X).tolist() == network.predict(X).tolist()
    calibrated = CalibratedClassifierCV(frozen, cv=2).fit(X[own], y[own])
    assert calibrated.classes_.tolist() == np.unique(y).tolist()
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_probabilities_add_up_in_double_precision(folder: Path) -> None:
    """Or scikit-learn warns of each."""
    X, y = arrays("iris")
    experiment = opened(folder, "iris")
    built = experiment.ensemble("mean", with_=(), top=3, refit=False, workers=1)
    for each in (*experiment.networks(2), built):
        assert isinstance(each, StudyClassifier)
        assert log_loss(y, each.predict_proba(X)) < 3


@pytest.mark.parametrize(
    ("study", "given", "line"),
    [
        ("iris", np.zeros((1, 3)), r"X must be of shape \(rows, 4\), not \(1, 3\)"),
        ("iris", pd.DataFrame({"petal": [1]}), "X: there is no column sepal length"),
        ("mixed", np.zeros((1, 3)), r"X must be a frame .*, as some hold texts: colour, mood"),
        (
            "mixed",
            pd.DataFrame({"colour": ["red"], "mood": ["bad"], "size": ["large"]}),
            r"X, column 'size', row 0 \(the first is 0\): 'large' is a text where a number must be",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_one_line(
    more: Path, study: str, given: Any, line: str
) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        opened(more, study).model().predict(given)
    assert "\n" not in str(caught.value)


# Rows and stored predictions


@pytest.mark.parametrize("study", ["iris", "diabetes", "digits", "wine"])
def test_rows_are_all_but_those_for_the_test_in_their_order(more: Path, study: str) -> None:
    X, y = opened(more, study).rows()
    everything, target = arrays(study)
    split, _ = split_rows(len(target), None if study == "diabetes" else target, seed=0)
    places = np.setdiff1d(np.arange(len(target)), split.test)
    np.testing.assert_array_equal(X, everything[places])
    np.testing.assert_array_equal(y, target[places])


def test_rows_with_texts_are_a_frame_of_the_data_as_they_are(more: Path) -> None:
    X, y = opened(more, "mixed").rows()
    split = parts(more, "mixed")
    places = np.sort(np.concatenate([split.train, split.validation]))
    data = pd.read_csv(more / "mixed.csv").iloc[places]
    assert X.columns.tolist() == COLUMNS
    assert X.isna().any().tolist() == [True, True, False]
    pd.testing.assert_frame_equal(X, data[COLUMNS].reset_index(drop=True))
    assert y.tolist() == data["y"].tolist()


def test_groups_are_those_of_the_rows(more: Path) -> None:
    experiment, split = opened(more, "mixed"), parts(more, "mixed")
    found, data = experiment.groups(), pd.read_csv(more / "mixed.csv")
    places = np.setdiff1d(np.arange(len(data)), split.test)
    assert found is not None
    alike = data["who"].to_numpy()[places][:, None] == data["who"].to_numpy()[places]
    np.testing.assert_array_equal(found[:, None] == found, alike)
    assert opened(more, "iris").groups() is None


def test_a_stored_network_predicts_no_row_that_it_was_trained_on(more: Path) -> None:
    experiment, split = opened(more, "iris"), parts(more, "iris")
    found = experiment.stored(top=2)
    kept = stored_predictions(more, "iris")
    networks = experiment.networks(top=2)
    places = np.setdiff1d(np.arange(150), split.test)
    assert [name for name, _ in found] == [f"trial_{each.trial_}" for each in networks]
    for (_, stored), network in zip(found, networks, strict=True):
        (seen,) = stored.seen
        np.testing.assert_array_equal(places[seen], split.train)
        np.testing.assert_array_equal(places[~seen], split.validation)
        assert np.isnan(stored.predictions[seen]).all()
        expected = proper(kept[network.trial_ or 0])
        assert np.asarray(stored.predictions[~seen]).tobytes() == expected.tobytes()


def test_a_network_of_a_fold_predicts_the_rows_of_that_fold(more: Path) -> None:
    """Which networks saw a row is told by their predictions: each row is by those that did not."""
    experiment = opened(more, "wine")
    X, _ = experiment.rows()
    folds = parts(more, "wine").folds
    assert folds is not None
    for _, stored in experiment.stored(top=None):
        assert not np.isnan(stored.predictions).any()
        for fold, model in enumerate(stored.models):
            assert model.model.endswith(f", fold {fold + 1}")
            hidden = ~stored.seen[fold]
            np.testing.assert_array_equal(hidden, folds == fold)
            said = model.predict_proba(X[hidden])
            np.testing.assert_allclose(stored.predictions[hidden], said, atol=1e-6)


@pytest.mark.parametrize("study", ["iris", "digits", "wine"])
def test_stored_networks_stand_beside_learners_in_a_stack(more: Path, study: str) -> None:
    experiment = opened(more, study)
    X, y = experiment.rows()
    learners = [*experiment.stored(2), ("bayes", GaussianNB(var_smoothing=1e-3))]
    stack = StackingClassifier(learners, LogisticRegression(C=0.1, max_iter=5000), cv=3).fit(X, y)
    split = parts(more, study)
    assert stack.n_rows_without_prediction_ == (0 if study == "wine" else len(split.train))
    assert stack.classes_.tolist() == experiment.model().classes_.tolist()
    everything, target = arrays(study)
    assert stack.score(everything[split.test], target[split.test]) > 0.7
    for (_, stored), predictions in zip(learners[:2], stack.out_of_fold_, strict=False):
        np.testing.assert_array_equal(predictions, stored.predictions)
    assert stack.comparison_ is not None


def test_stored_networks_in_a_stack_of_numbers_are_in_units(more: Path) -> None:
    experiment = opened(more, "diabetes")
    X, y = experiment.rows()
    stored = experiment.stored(3)
    stack = StackingRegressor([*stored, ("ridge", Ridge()), ("mean", DummyRegressor())]).fit(X, y)
    everything, target = arrays("diabetes")
    test = parts(more, "diabetes").test
    assert stack.score(everything[test], target[test]) > 0.2
    own = ~np.isnan(stored[0][1].predictions[:, 0])
    best = experiment.networks(1)[0].validation_
    assert r2_score(y[own], stored[0][1].predictions[own]) == pytest.approx(best, abs=1e-6)


def test_a_frame_with_texts_goes_through_a_stack(more: Path) -> None:
    experiment = opened(more, "mixed")
    X, y = experiment.rows()
    texts = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour", "mood"]), remainder="drop"
    )
    learners = [*experiment.stored(2), ("logistic", make_pipeline(texts, LogisticRegression()))]
    groups = experiment.groups()
    stack = StackingClassifier(learners, cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert set(stack.predict(X.iloc[:20])) <= {"yes", "no"}


# Ensembles


@pytest.mark.parametrize("refit", [True, False])
def test_an_ensemble_is_what_the_command_builds(hpo: Hpo, folder: Path, refit: bool) -> None:
    how = ("--folds", 3, "--top", 2) if refit else ("--no-refit",)
    url = f"sqlite:///{folder}/hpo.db"
    ran = hpo("ensemble", "iris", *how, "--with", "knn", "--json", "--workers", 1, "--storage", url)
    assert ran.code == 0, ran.err
    (before,) = sql(folder / "hpo.db", "SELECT digest, record FROM hpo_ensembles")
    folds = {"folds": 3, "top": 2} if refit else {"refit": False}
    built = opened(folder, "iris").ensemble(with_=["knn"], **folds, workers=1)
    (after,) = sql(folder / "hpo.db", "SELECT digest, record FROM hpo_ensembles")
    assert after[0] == before[0]
    records = [json.loads(record) for _, record in (before, after)]
    assert built.record_ == records[1]
    for each in records:
        del each["seconds"]
        for member in each["members"]:
            del member["seconds"], member["milliseconds"]
    assert records[0] == records[1]
    assert built.feature_names_in_.tolist() == [str(each) for each in load_iris().feature_names]


def test_the_usual_ensemble_of_a_study(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    built = opened(folder, "diabetes").ensemble(name="usual", top=1, folds=2, workers=1)
    assert isinstance(built, StudyRegressor)
    X, y = arrays("diabetes")
    test = parts(folder, "diabetes").test
    assert built.score(X[test], y[test]) > 0.3
    assert (built.model, built.record_["folds"]) == ("usual", 2)
    members = {each["name"] for each in built.record_["members"]} | {*built.record_["left_out"]}
    assert members >= {"forest", "extra_trees", "hist_gradient_boosting", "ridge"}
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


# Where it is read, and what is left as it was


def test_nothing_is_written_but_by_an_ensemble(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("looked at the test rows")

    monkeypatch.setattr("hpo.preparation.SealedRows.score", forbidden)
    before = content(folder)
    for study in ("iris", "diabetes", "digits", "mixed", "wine"):
        experiment = opened(folder, study)
        X, _ = experiment.rows()
        for each in (*experiment.networks(), experiment.model()):
            each.predict(X)
        experiment.stored()
    assert content(folder) == before


def test_defaults_are_those_of_the_commands(more: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HPO_STORAGE", raising=False)
    monkeypatch.chdir(more)
    assert Experiment.open("iris").networks(1)[0].study == "iris"
    monkeypatch.chdir("/")
    monkeypatch.setenv("HPO_STORAGE", f"sqlite:///{more}/hpo.db")
    monkeypatch.setenv("HPO_ARTIFACTS", str(more / "elsewhere"))
    with pytest.raises(ArtifactError, match="elsewhere"):
        Experiment.open("iris").networks(1)
    assert Experiment.open("iris", artifacts=str(more / "hpo.artifacts")).networks(1)


def test_a_password_is_not_shown() -> None:
    shown = repr(Experiment("digits", "postgresql://me:secret@host/db"))
    assert shown == "Experiment.open('digits', storage='postgresql://me:***@host/db')"


def test_data_that_were_moved_or_changed(hpo: Hpo, tmp_path: Path) -> None:
    write_mixed(tmp_path / "here.csv")
    place = f"sqlite:///{tmp_path}/hpo.db"
    assert hpo("search", "here.csv", "--target", "y", *TINY, "--storage", place).code == 0
    text = (tmp_path / "here.csv").read_text(encoding="utf-8")
    (tmp_path / "here.csv").rename(tmp_path / "there.csv")
    experiment = Experiment.open(storage=place)
    assert len(experiment.networks()) == len(experiment.stored()) == 3  # without any data
    with pytest.raises(Exception, match=r"no such file.*of study 'here'; data= says where\)"):
        experiment.rows()
    X, _ = Experiment.open(storage=place, data=str(tmp_path / "there.csv")).rows()
    assert len(X) == len(experiment.stored()[0][1].predictions)
    (tmp_path / "there.csv").write_text(text.replace("good", "fine"), encoding="utf-8")
    moved = Experiment.open(storage=place, data=str(tmp_path / "there.csv"))
    with pytest.raises(UsageError, match=r"was made with other data \(columns changed: mood"):
        moved.rows()


@pytest.mark.parametrize("version", ["0001", "0003", "0004"])
def test_a_database_of_an_older_schema_is_read_as_it_is(tmp_path: Path, version: str) -> None:
    shutil.copytree(FOLDER / version / NETWORKS, tmp_path / "hpo.artifacts")
    shutil.copy(FOLDER / version / DATABASE, tmp_path / "hpo.db")
    before = content(tmp_path)
    experiment = opened(tmp_path, "golden")
    if version == "0001":
        with pytest.raises(StorageError, match="an older version of hpo wrote it: hpo test"):
            experiment.networks()
    else:
        X, y = experiment.rows()
        assert len(experiment.networks()) == len(experiment.stored()) == 6
        assert 0 <= experiment.model("winner").score(X, y) <= 1
    assert content(tmp_path) == before


def test_a_study_whose_split_was_not_kept_is_split_again(folder: Path) -> None:
    kept = opened(folder, "wine").stored(1)[0][1].seen
    sql(folder / "hpo.db", "UPDATE hpo_experiments SET split = NULL")
    np.testing.assert_array_equal(opened(folder, "wine").stored(1)[0][1].seen, kept)
    document = (
        "UPDATE hpo_experiments SET preparation = json_set(preparation, '$.split.sha256', 'x')"
    )
    sql(folder / "hpo.db", document)
    with pytest.raises(UsageError, match="splits the rows in another way"):
        opened(folder, "wine").rows()


def lines() -> Iterator[Any]:
    """What is asked of a folder, and the error and the line that come of it."""
    yield lambda p: opened(p, "irsi"), UsageError, "no study 'irsi': .*; did you mean 'iris'?"
    yield lambda p: opened(p / "no", "iris"), StorageError, "or choose another storage=$"
    yield (
        lambda p: Experiment.open(storage=f"sqlite:///{p}/hpo.db"),
        UsageError,
        "the storage holds 5 studies, name one",
    )
    yield lambda p: opened(p, "iris").networks(0), UsageError, "^top=0: it counts trials"
    yield lambda p: opened(p, "iris").model("x"), UsageError, "no model 'x': the study has winner$"
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"methods": "magic"},
            "^methods='magic': there is greedy, stacking, blend, mean, weights, bagging,",
        ),
        ({"with_": "ridge"}, "^with_=ridge: it is for regression; choose among forest"),
        ({"folds": 3, "refit": False}, "^folds=3 trains again, and refit=False does not"),
        ({"folds": 1}, "^folds=1: 2 is the least"),
        ({"folds": 100}, "^folds=100: the rows are too few; use refit=False$"),
        ({"name": "winner"}, "^name='winner': choose another one, of at most 64 letters$"),
        ({"workers": 0}, "^workers=0: 1 is the least"),
    ]
    for arguments, line in wrong:
        yield (
            lambda p, arguments=arguments: opened(p, "iris").ensemble(**arguments),
            UsageError,
            line,
        )
    yield (
        lambda p: opened(p, "iris").ensemble(with_=(), top=0),
        NoFiniteTrialError,
        r"no learner was asked for \(with_=\)$",
    )


@pytest.mark.parametrize(("ask", "kind", "line"), [*lines()])
def test_what_cannot_be_is_said_in_one_line(folder: Path, ask: Any, kind: Any, line: str) -> None:
    with pytest.raises(kind, match=line) as caught:
        ask(folder)
    assert "\n" not in str(caught.value)


def test_a_study_without_a_network_says_so(folder: Path) -> None:
    sql(folder / "hpo.db", "DELETE FROM hpo_artifacts")
    experiment = opened(folder, "iris")
    with pytest.raises(NoFiniteTrialError, match="the study keeps no network whole"):
        experiment.networks()
    sql(folder / "hpo.db", "UPDATE trials SET state = 'FAIL'")
    with pytest.raises(NoFiniteTrialError, match="no trial of it has completed"):
        experiment.stored()
    with pytest.raises(NoFiniteTrialError, match="the study has no model yet"):
        experiment.model()


def test_a_damaged_network_is_named(folder: Path) -> None:
    experiment = opened(folder, "iris")
    number = experiment.networks(1)[0].trial_
    shutil.rmtree(folder / "hpo.artifacts")
    with pytest.raises(ArtifactError):
        experiment.networks(1)
    sql(folder / "hpo.db", "DELETE FROM hpo_predictions")
    with pytest.raises(ArtifactError, match=f"trial {number} has no stored predictions"):
        experiment.stored(1)


def test_options_become_arguments_and_nothing_else_does() -> None:
    said = "--folds 5: why; use --no-refit, --data or --target of my--data.csv (--with)"
    arguments = "folds=5: why; use refit=False, data= or --target of my--data.csv (with_=)"
    assert translated(said) == arguments
