"""Folds of a study: who stands in which, what is fitted on what, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from hpo.data.loading import load
from hpo.data.splitting import Split
from hpo.data.table import Dataset
from hpo.errors import UsageError
from hpo.preparation import Prepared, prepare, prepare_whole
from hpo.settings import MOST_FOLDS
from tests.test_preparation import changed, small
from tests.test_preparation import settings as asked


def settings(task: str = "classification", cv: int | None = 5, **changes: Any) -> Any:
    return asked(task, cv=cv, **changes)


def folds(prepared: Prepared) -> np.ndarray:
    assert prepared.problem.folds is not None
    return prepared.problem.folds


def steered(folder: Path, column: str, keys: list[object]) -> Dataset:
    lines = [f"a,{column},kind", *(f"{n % 7},{key},{'xy'[n % 2]}" for n, key in enumerate(keys))]
    path = folder / "visits.csv"
    path.write_text("\n".join(lines))
    if column == "who":
        return load(str(path), target="kind", group=column)
    return load(str(path), target="kind", time=column)


@pytest.mark.parametrize(("name", "task"), [("iris", "classification"), ("diabetes", "regression")])
def test_all_rows_but_those_for_the_test_are_in_the_folds(name: str, task: str) -> None:
    dataset = load(name)
    plain, prepared = (prepare(dataset, settings(task, cv, seed=3)) for cv in (None, 5))
    np.testing.assert_array_equal(prepared.sealed.rows, plain.sealed.rows)
    pool = np.setdiff1d(np.arange(dataset.features.n_rows), plain.sealed.rows)
    np.testing.assert_array_equal(prepared.split.train, pool)
    assert prepared.rows == {
        "train": len(pool),
        "validation": len(pool),
        "test": plain.rows["test"],
    }
    assert np.ptp(np.bincount(folds(prepared))) <= 1
    if task == "classification":
        for label in range(3):
            assert np.ptp(np.bincount(folds(prepared)[dataset.target.values[pool] == label])) <= 1
    scaler = StandardScaler().fit(dataset.features.numeric[pool])
    expected = scaler.transform(dataset.features.numeric[pool])
    np.testing.assert_allclose(prepared.problem.training.X, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(prepared.problem.training_target, dataset.target.values[pool])


def test_test_rows_decide_nothing() -> None:
    dataset = load("iris")
    before = prepare(dataset, settings())
    after = prepare(changed(dataset, before.sealed.rows), settings())
    np.testing.assert_array_equal(before.problem.training.X, after.problem.training.X)
    np.testing.assert_array_equal(folds(before), folds(after))


def test_the_same_seed_deals_the_same_and_the_choice_another_way() -> None:
    one, again, other = (prepare(load("iris"), settings(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(folds(one), folds(again))
    assert not np.array_equal(folds(one), folds(other))
    choice = one.folds(5)
    assert choice is not None
    assert np.mean(choice == folds(one)) < 0.5


def test_folds_that_were_kept_are_used_whatever_would_be_dealt() -> None:
    kept, other = (prepare(load("iris"), settings(seed=seed)) for seed in (1, 2))
    again = prepare(load("iris"), settings(seed=2), Split.from_bytes(kept.split.to_bytes()))
    np.testing.assert_array_equal(folds(again), folds(kept))
    assert again.split.digest() == kept.split.digest() != other.split.digest()


@given(st.lists(st.sampled_from([0, 2, 3, 4, 3 + MOST_FOLDS]), min_size=1, max_size=200))
def test_folds_are_packed_and_unpacked(roles: list[int]) -> None:
    """2 is a test row, and 3 the first fold; 0 stands for none here, so it is one too."""
    codes = np.array(roles)
    train = np.flatnonzero(codes != 2)
    dealt = np.where(codes < 3, 0, codes - 3)[train]
    split = Split(train, train[:0], np.flatnonzero(codes == 2), dealt)
    again = Split.from_bytes(split.to_bytes())
    np.testing.assert_array_equal(again.train, train)
    np.testing.assert_array_equal(again.test, split.test)
    if len(train):
        assert again.digest() == split.digest()
        assert again.folds is not None
        np.testing.assert_array_equal(again.folds, dealt)
        moved = Split(train, train[:0], split.test, dealt + 1)
        assert moved.digest() != split.digest()
        assert Split(train, train[:0], split.test).digest() != split.digest()


def test_groups_stay_together(tmp_path: Path) -> None:
    names = [f"p{n % 12}" for n in range(120)]
    prepared = prepare(steered(tmp_path, "who", list(names)), settings(cv=4))
    found = np.array(names)[prepared.split.train]
    for name in np.unique(found):
        assert len(np.unique(folds(prepared)[found == name])) == 1
    assert set(folds(prepared).tolist()) == {0, 1, 2, 3}
    told = [each for each in prepared.warnings if "12 groups stay whole" in each]
    assert len(told) == 1
    assert not any("validation" in each for each in prepared.warnings)


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    iris = load("iris")
    cases = [
        (iris, settings(cv=61), "--cv 61: 120 rows beside the test rows are too few"),
        (iris, settings(cv=1), "--cv 1: there can be 2 to 100 folds"),
        (iris, settings(cv=101), "--cv 101: there can be 2 to 100 folds"),
        (iris, settings(cv=3, patience=4), "--cv 3 makes no sense with --patience 4"),
        (
            steered(tmp_path, "who", [f"p{n % 5}" for n in range(60)]),
            settings(cv=6),
            r"--cv 6: \d+ rows in [34] groups beside the test rows are too few",
        ),
        (
            steered(tmp_path, "day", list(range(60))),
            settings(cv=3),
            "--cv 3 makes no sense with --time 'day': .* later rows",
        ),
    ]
    for dataset, chosen, message in cases:
        with pytest.raises(UsageError, match=f"^{message}") as caught:
            prepare(dataset, chosen)
        assert "\n" not in str(caught.value)
    prepare(iris, settings(cv=60))


def test_classes_that_are_too_rare_for_the_folds_are_told_of() -> None:
    labels = [0.0] * 40 + [1.0] * 40 + [2.0] * 4
    prepared = prepare(small(labels, ("ant", "bee", "cat")), settings(cv=6))
    assert prepared.warnings == ("as loaded", "classes that do not stand in every fold: cat")
    assert prepare(small(labels, ("ant", "bee", "cat")), settings(cv=2)).warnings == ("as loaded",)


def test_a_whole_problem_has_all_rows_but_those_for_the_test() -> None:
    dataset = load("iris")
    plain = prepare(dataset, settings(cv=None, seed=3))
    whole = prepare_whole(dataset, settings(cv=None, seed=3), plain)
    folded = prepare(dataset, settings(seed=3))
    np.testing.assert_array_equal(whole.problem.training.X, folded.problem.training.X)
    assert len(whole.problem.validation) == 0
    assert whole.problem.folds is None
    assert whole.problem.settings == plain.problem.settings
    assert prepare_whole(dataset, settings(seed=3), folded) is folded
