"""The curves of a trial as a table and as a picture."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from hpo.dashboard.curves import curves_csv, curves_png
from tests.report.making import made, trial

VALIDATION, TRAIN = "#0072b2", "#d55e00"


def drawn(curves: dict[str, Any], colour: str, **study: Any) -> np.ndarray[Any, Any]:
    """Where the picture has this colour, (rows, columns) of each pixel."""
    picture = imread(io.BytesIO(curves_png(made(**study), trial(1, 1, 0.5, curves=curves))))
    assert picture.shape[:2] == (432, 1080)
    return np.argwhere((abs(picture[..., :3] - to_rgb(colour)) < 0.01).all(axis=-1))


def test_a_table_has_a_line_for_each_epoch() -> None:
    text = curves_csv({"val_loss": [1.0, None], "train_loss": [0.5, 0.25]})
    assert text == "epoch,val_loss,train_loss\n1,1.0,0.5\n2,,0.25\n"


def test_a_line_falls_as_its_values_do() -> None:
    places = drawn({"val_loss": [4.0, 3.0, 2.0, 1.0]}, VALIDATION)
    line = places[places[:, 0] > 150]  # below the legend
    assert len(line) > 100
    assert line[:, 1].max() < 540  # the loss is the left one of two
    left, right = (line[line[:, 1] == column, 0].mean() for column in np.quantile(
        np.unique(line[:, 1]), [0.1, 0.9], method="nearest"))  # fmt: skip
    assert left < right - 100


@pytest.mark.parametrize("missing", [VALIDATION, TRAIN])
def test_what_is_not_there_is_not_drawn(missing: str) -> None:
    name = "train_score" if missing == VALIDATION else "val_score"
    assert len(drawn({name: [0.1, 0.9]}, missing)) == 0
    assert len(drawn({name: [0.1, 0.9]}, {VALIDATION: TRAIN, TRAIN: VALIDATION}[missing])) > 100


def test_epochs_without_a_score_are_passed_over() -> None:
    whole = drawn({"val_score": [0.1, 0.5, 0.9]}, VALIDATION)
    gap = drawn({"val_score": [0.1, None, 0.9]}, VALIDATION)
    # The line has no gap; its edges may be blended otherwise where it is not bent.
    assert set(gap[:, 1]) == set(whole[:, 1])
    assert abs(len(gap) - len(whole)) < len(whole) / 50


def test_any_name_can_be_drawn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("$x_{$", "数字", "a\nb", "$$", r"\frac{"):
            assert len(drawn({"val_loss": [2.0, 1.0]}, VALIDATION, name=name)) > 100


def test_the_same_curves_give_the_same_picture() -> None:
    first = curves_png(made(), trial(1, 1, 0.5))
    assert curves_png(made(), trial(1, 1, 0.5)) == first
