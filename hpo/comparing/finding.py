"""One sentence: what helped, and whether by more than the noise between seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.comparing.record import best_of

Record = Mapping[str, Any]


def finding(record: Record) -> str:
    """The sentence of a comparison, by its record."""
    failed = [each for each in record["choices"] if each["failed"]]
    lost = [
        f"{each['choice']} failed with {each['failed']} of {each['networks']} seeds"
        for each in failed
    ]
    told = [_contest(record), *_quickness(record)] if _competes(record) else [_switches(record)]
    return "; ".join([*told, *lost]) + "."


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def number(value: float) -> str:
    """Three decimals, or three digits of a small or a large number."""
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"


def chance(p: float) -> str:
    """How likely it is by chance."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def of(record: Record, quantity: str) -> list[Record]:
    """The differences of one quantity."""
    return [each for each in record["differences"] if each["of"] == quantity]


_LOWEST = {
    "val_loss": "ends with the lowest validation loss",
    "best_val_loss": "has the lowest validation loss at its best epoch",
}
_LOSS = {"val_loss": "the validation loss", "best_val_loss": "the lowest validation loss"}


def _competes(record: Record) -> bool:
    return not any(each["baseline"] for each in record["choices"])


def _contest(record: Record) -> str:
    judged = record["judged_by"]
    best, found = best_of(record["choices"], judged), of(record, judged)
    head = f"{best['choice']} {_LOWEST[judged]}, {_with_spread(best[judged])}"
    if not found:
        return f"{head}; nothing else could be trained"
    if record["n_seeds"] == 1:
        return f"{head}; {_one_seed()}"
    above = [each["baseline"] for each in found if each["larger_than_noise"]]
    equal = [each["baseline"] for each in found if not each["larger_than_noise"]]
    test = f"({_test(record, len(found))})"
    if not above:
        return f"{head}, but by no more than the noise between seeds {test}"
    if not equal:
        whom = "every other" if len(above) > 1 else above[0]
        return f"{head}, lower than {whom} by more than the noise between seeds {test}"
    return (
        f"{head}, lower than {listed(above)} by more than the noise between seeds; "
        f"{listed(equal)} cannot be told apart from it {test}"
    )


def slowness(choice: Record) -> tuple[float, float]:
    """Epochs to the level, infinite unless every seed gets there; then by the loss at the end."""
    reached, loss = choice["epochs_to_level"], choice["val_loss"]
    everywhere = reached["reached"] == choice["networks"]
    return (
        reached["mean"] if everywhere else math.inf,
        math.inf if loss is None or choice["failed"] else loss["mean"],
    )


def _quickness(record: Record) -> list[str]:
    """Who gets to the level first, and who last or never, if that differs."""
    order = sorted((each for each in record["choices"] if not each["failed"]), key=slowness)
    times = [slowness(each)[0] for each in order]
    if len(order) < 2 or times[0] == times[-1]:
        return []
    quickest, level = order[0]["choice"], record["level"]
    first = f"{quickest} is the first at a loss of {level:g}, in {_epochs(times[0])}"
    never = [each["choice"] for each in order if math.isinf(slowness(each)[0])]
    if never:
        lacking = "does" if len(never) == 1 else "do"
        return [f"{first}, and {listed(never)} {lacking} not get there"]
    return [f"{first}, and {order[-1]['choice']} the last, in {_epochs(times[-1])}"]


def _epochs(mean: float) -> str:
    return f"{mean:.3g} epoch{'' if mean == 1 else 's'}"


def _switches(record: Record) -> str:
    found, gaps = (
        of(record, record["judged_by"]),
        {each["choice"]: each for each in of(record, "gap")},
    )
    named = {each["choice"]: each for each in record["choices"]}
    if not found:
        return "there is nothing to compare"
    parts = [_switch(each, named) + _gap(gaps[each["choice"]], named, record) for each in found]
    test = _one_seed() if record["n_seeds"] == 1 else f"({_test(record, len(found))})"
    return "; ".join(parts) + ("; " if record["n_seeds"] == 1 else " ") + test


def _switch(difference: Record, named: Mapping[str, Record]) -> str:
    """What happens to the validation loss."""
    name, baseline = difference["choice"], difference["baseline"]
    before, after = (named[each][difference["of"]]["mean"] for each in (baseline, name))
    loss = _LOSS[difference["of"]]
    moved = f"from {number(before)} to {number(after)}"
    against = f"against {baseline}"
    if difference["larger_than_noise"] is None:
        return f"{name} moves {loss} {moved} {against}"
    said = f"{_signed(difference)}, {chance(difference['p'])}"
    if not difference["larger_than_noise"]:
        return (
            f"{name} moves {loss} {moved} {against}, which is no more than the noise "
            f"between seeds ({said})"
        )
    verb = "lowers" if difference["mean"] < 0 else "raises"
    return f"{name} {verb} {loss} {moved} {against}, by more than the noise between seeds ({said})"


def _gap(difference: Record, named: Mapping[str, Record], record: Record) -> str:
    """What happens to the gap between training and validation score."""
    before, after = (named[difference[each]]["gap"]["mean"] for each in ("baseline", "choice"))
    moved = f"from {number(before)} to {number(after)}"
    gap = f"the gap between training and validation {record['metric']}"
    if difference["larger_than_noise"] is None:
        return f", and moves {gap} {moved}"
    said = f"({chance(difference['p'])})"
    if not difference["larger_than_noise"]:
        return f"; it moves {gap} {moved}, which is no more than noise {said}"
    verb = "narrows" if difference["mean"] < 0 else "widens"
    return f", and {verb} {gap} {moved} {said}"


def _with_spread(spread: Record) -> str:
    mean = number(spread["mean"])
    return mean if spread["sd"] is None else f"{mean} ± {number(spread['sd'])}"


def _signed(difference: Record) -> str:
    sign = "+" if difference["mean"] >= 0 else "−"
    return f"{sign}{number(abs(difference['mean']))} ± {number(difference['standard_error'])}"


def _test(record: Record, n_tests: int) -> str:
    many = ", Holm's correction" if n_tests > 1 else ""
    return f"paired t test over {record['n_seeds']} seeds{many}, 5 % level"


def _one_seed() -> str:
    return "one seed does not tell how large the noise between seeds is"
