"""The curves of a trial as files: a table, and a picture."""

from __future__ import annotations

import csv
import io
import warnings
from threading import Lock

from hpo.report.records import Curves, Study, Trial
from hpo.report.words import metric_word, parameters, score, scored_word

SIZE = (9.0, 3.6)
"""Of the picture, in inches of `DOTS` each."""

DOTS = 120

_DRAWING = Lock()
"""The dashboard answers in threads, and Matplotlib draws in one at a time."""


def curves_csv(curves: Curves) -> str:
    """A line for each epoch; empty where a value is not finite."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *curves])
    for epoch, values in enumerate(zip(*curves.values(), strict=True), start=1):
        writer.writerow([epoch, *("" if each is None else each for each in values)])
    return text.getvalue()


def curves_png(study: Study, trial: Trial) -> bytes:
    """Loss and score after each epoch, on validation rows (solid) and on training rows (dashed)."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # slow to import

    panels = [("loss", "loss"), ("score", metric_word(study.metric))]
    with _DRAWING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of signs that its font has not
        figure = Figure(SIZE, dpi=DOTS, layout="constrained")
        for axes, (kind, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            for rows, line in (("val", "-"), ("train", "--")):
                values = enumerate(trial.curves.get(f"{rows}_{kind}", ()), start=1)
                # Some scores are not measured after each epoch.
                measured = [(epoch, value) for epoch, value in values if value is not None]
                if measured:
                    epochs, known = zip(*measured, strict=True)
                    axes.plot(epochs, known, line, color=_COLOURS[rows], label=rows)
            axes.set(title=title, xlabel="epoch")
            axes.grid(alpha=0.25)
            if axes.lines:
                axes.legend(frameon=False)
        figure.suptitle(_title(study, trial))
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


_COLOURS = {"val": "#0072b2", "train": "#d55e00"}


def _title(study: Study, trial: Trial) -> str:
    scored = "" if trial.value is None else f" ({scored_word(study.cv)} {score(trial.value)})"
    title = f"{study.name}, trial {trial.number}{scored}\n{parameters(trial.params, 4)}"
    return title.replace("$", r"\$")  # between two of which Matplotlib reads a formula
