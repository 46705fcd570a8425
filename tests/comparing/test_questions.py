"""What can be compared, and what its choices mean."""

from __future__ import annotations

import pytest

from hpo.comparing.choices import RATES, choices_of
from hpo.comparing.questions import QUESTIONS
from hpo.comparing.textbook import CLAIMS
from hpo.nn.activations import ACTIVATIONS
from hpo.nn.optimizers import OPTIMIZERS
from hpo.settings import OPTIMIZERS as KNOWN


def test_every_optimizer_has_its_usual_rate() -> None:
    assert set(RATES) == set(OPTIMIZERS) == set(KNOWN)


def test_the_usual_activations_are_all_that_there_are() -> None:
    trainable = {name for name, each in ACTIVATIONS.items() if each.trainable}
    assert set(QUESTIONS["activation"]) == trainable


def test_every_question_has_a_claim() -> None:
    assert set(CLAIMS) == set(QUESTIONS)


@pytest.mark.parametrize("what", QUESTIONS)
def test_the_usual_choices_are_choices(what: str) -> None:
    made = choices_of(what, (), "relu")
    assert len(made) >= 2
    names = [each.name for each in made]
    assert all(each.baseline in (None, *names) for each in made)


def test_batch_normalisation_is_tried_from_two_kinds_of_initial_values() -> None:
    made = choices_of("batch-norm", ("off", "on"), "tanh")
    assert [(each.name, each.baseline) for each in made] == [
        ("xavier_uniform", None),
        ("xavier_uniform + batch norm", "xavier_uniform"),
        ("normal:0.01", None),
        ("normal:0.01 + batch norm", "normal:0.01"),
    ]
    assert dict(made[3].params) == {"initializer": "normal:0.01", "batch_norm": "before"}


def test_strengths_and_patiences_are_measured_against_the_first() -> None:
    decay = choices_of("weight-decay", ("0", "0.01", "1e-1"), "relu")
    assert [(each.name, each.baseline, dict(each.params)) for each in decay] == [
        ("no weight decay", None, {"weight_decay": 0.0}),
        ("weight decay 0.01", "no weight decay", {"weight_decay": 0.01}),
        ("weight decay 0.1", "no weight decay", {"weight_decay": 0.1}),
    ]
    patience = choices_of("early-stopping", ("off", "3"), "relu")
    assert [(each.name, each.patience) for each in patience] == [
        ("no early stopping", None),
        ("patience 3", 3),
    ]


@pytest.mark.parametrize(
    ("what", "texts", "says"),
    [
        ("optimizer", ("sgd",), "one choice alone compares with nothing; give two or more"),
        ("optimizer", ("sgd", "sgd"), "sgd is given twice"),
        ("optimizer", ("sgd", "adams"), "'adams'"),
        ("initializer", ("he_normal", "normal:x"), "normal:DEVIATION needs a number above 0"),
        ("activation", ("relu", "step"), "activation 'step' has no derivative to train with"),
        ("dropout", ("0", "1.5"), "dropout 1.5: it must be from 0 to 0.99"),
        ("dropout", ("0", "nan"), "dropout nan: it must be from 0 to 0.99"),
        ("weight-decay", ("0", "inf"), "weight decay inf: it must be a finite number"),
        ("weight-decay", ("0", "much"), "weight decay 'much' is no number"),
        ("weight-decay", ("0", "0.0"), "no weight decay is given twice"),
        ("early-stopping", ("off", "-3"), "patience '-3' is no whole number"),
        ("batch-norm", ("off", "yes"), "batch normalisation is off, on, before or after"),
    ],
)
def test_what_is_no_choice(what: str, texts: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        choices_of(what, texts, "relu")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
