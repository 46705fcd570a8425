import json

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.nn.optimizers import OPTIMIZERS
from hpo.search.narrowing import Choices
from hpo.search.notation import parse_item, write_item
from hpo.search.space import SearchSpace
from hpo.search.tunable import TUNABLE, WIDE
from hpo.settings import OPTIMIZERS as OPTIMIZER_NAMES


def test_default_space_is_learning_rate_and_weight_decay() -> None:
    assert SearchSpace().distributions == {
        "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "weight_decay": FloatDistribution(1e-5, 10.0, log=True),
    }


def test_parse_overrides_what_is_named_and_keeps_the_rest() -> None:
    space = SearchSpace.parse(["learning_rate=1e-4..1e-2:log", " weight_decay = 0 .. 0.5 "])
    assert space.distributions == {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "weight_decay": FloatDistribution(0.0, 0.5),
    }
    assert SearchSpace.parse(["weight_decay=1..2"]).distributions == {
        "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "weight_decay": FloatDistribution(1.0, 2.0),
    }


def test_parse_takes_choices_single_values_and_usual_ranges() -> None:
    items = ["dropout", "batch_size=16..128:log", "hidden=64|128|64,64", "learning_rate=0.01"]
    assert SearchSpace.parse(items).distributions == {
        "learning_rate": CategoricalDistribution((0.01,)),
        "weight_decay": FloatDistribution(1e-5, 10.0, log=True),
        "dropout": FloatDistribution(0.0, 0.5),
        "batch_size": IntDistribution(16, 128, log=True),
        "hidden": CategoricalDistribution(("64", "128", "64,64")),
    }
    chosen = SearchSpace.parse(["batch_size=32|64"]).distributions["batch_size"]
    assert chosen == CategoricalDistribution((32, 64))


def test_wide_tunes_what_has_a_meaning() -> None:
    wide = SearchSpace.parse(["wide"]).distributions
    assert set(wide) == WIDE
    assert "label_smoothing" not in SearchSpace.parse(["wide"], classification=False).distributions
    narrow = SearchSpace.parse(["wide", "optimizer=adam|nadam", "dropout=0.1"]).distributions
    assert set(narrow) == WIDE - {"momentum"}
    assert narrow["dropout"] == CategoricalDistribution((0.1,))
    assert {"beta1", "momentum"} & set(
        SearchSpace.parse(["wide", "optimizer=sgd"]).distributions
    ) == set()


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        (["momentum"], {}, "'momentum': adam has no momentum; choose another --optimizer"),
        (["beta1", "optimizer=sgd|momentum"], {}, "'beta1': sgd and momentum has no beta1"),
        (["label_smoothing=0..0.1"], {"classification": False}, "belongs to classification"),
    ],
)
def test_what_has_no_meaning_is_refused(
    items: list[str], options: dict[str, bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSpace.parse(items, **options)  # type: ignore[arg-type]


def test_an_option_belongs_to_the_optimizers_that_have_it() -> None:
    shape = SearchSpace.parse(["momentum", "beta1", "optimizer=sgd|momentum|adam"]).shape("sgd")
    point = {"optimizer": "sgd", "momentum": 0.5, "beta1": 0.9, "dropout": 0.1}
    assert shape.meaningful(point) == {"optimizer": "sgd", "dropout": 0.1}
    assert "momentum" in shape.meaningful(point | {"optimizer": "momentum"})
    assert "beta1" in shape.meaningful(point | {"optimizer": "adam"})
    alone = SearchSpace.parse(["momentum"], optimizer="nesterov").shape("nesterov")
    assert alone.meaningful({"momentum": 0.5}) == {"momentum": 0.5}


@pytest.mark.parametrize("name", TUNABLE)
def test_a_usual_range_is_usable_and_reads_as_it_is_written(name: str) -> None:
    tunable = TUNABLE[name]
    for value in getattr(tunable.usual, "choices", None) or (tunable.usual.low, tunable.usual.high):  # type: ignore[attr-defined]
        tunable.check(value)
    assert parse_item(name) == (name, tunable.usual)
    assert parse_item(write_item(name, tunable.usual)) == (name, tunable.usual)


def test_every_optimizer_can_be_named() -> None:
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)


def test_parse_of_nothing_is_the_default() -> None:
    assert SearchSpace.parse([]) == SearchSpace()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("learning_rte=1e-4..1e-2", "'learning_rte' cannot be tuned. Did you mean learning_rate?"),
        ("zoom=0..1", "'zoom' cannot be tuned. Tunable are learning_rate, weight_decay, dropout"),
        ("", "'' cannot be tuned"),
        ("learning_rate=", "'' is no number; write learning_rate=LOW..HIGH for a range, or"),
        ("batch_size=32|many", "'many' is no whole number; write batch_size=LOW..HIGH"),
        ("batch_size=1.5..3", "two whole numbers, e.g. batch_size=16..256:log"),
        ("batch_size=0..3", "0 is below 1, the least that it can be"),
        ("dropout=0..1", "1 is not from 0 to 0.99"),
        ("dropout=0.1|0.2|0.10", "0.1 is given twice; keep one"),
        ("optimizer=adm", "unknown optimizer 'adm': did you mean 'adam'?"),
        ("optimizer=adam..sgd", "optimizer has choices and no range; write e.g. optimizer=sgd|mom"),
        ("hidden=64|x", "'x' are no layer sizes; write e.g. 64,64"),
        ("activation=hardmax", "unknown activation 'hardmax'"),
        ("initializer=normal:x", "normal:x"),
        ("schedule=linear", "unknown schedule 'linear'"),
        ("batch_norm=yes", "unknown place of batch_norm 'yes'"),
        ("momentum=0.5..1", "1 is not at least 0 and below 1"),
        ("learning_rate=a..b", "this is no range"),
        ("learning_rate=nan..1", "this is no range"),
        ("learning_rate=1..inf", "this is no range"),
        ("learning_rate=1..2:linear", "this is no range"),
        ("learning_rate=1..2:", "this is no range"),
        ("learning_rate=0.1..0.01", "the range is empty; 0.1 must be below 0.01"),
        ("learning_rate=1..1", "the range is empty; 1 must be below 1"),
        ("weight_decay=-1..1", "-1 is below 0, the least that it can be"),
        ("weight_decay=-2..-1:log", "-2 is below 0"),
        ("weight_decay=0..1:log", "a log range starts above 0; raise 0 or drop ':log'"),
    ],
)
def test_parse_refuses_in_one_line_that_quotes_the_item(item: str, message: str) -> None:
    with pytest.raises(ValueError, match="search space") as caught:
        SearchSpace.parse([item])
    text = str(caught.value)
    assert message in text
    assert repr(item) in text
    assert "\n" not in text


def test_parse_refuses_a_name_given_twice() -> None:
    with pytest.raises(ValueError, match="learning_rate is given twice; keep one range"):
        SearchSpace.parse(["learning_rate=1..2", "learning_rate=1..3"])


def test_json_gives_the_space_back() -> None:
    space = SearchSpace(
        {
            "learning_rate": FloatDistribution(1e-7, 0.3, log=True),
            "layers": IntDistribution(1, 9, step=2),
            "optimizer": CategoricalDistribution(("adam", None, 3)),
        }
    )
    assert SearchSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


@pytest.mark.parametrize("record", [{"x": 1}, {"x": {}}, {"x": {"name": "FloatDistribution"}}])
def test_from_json_refuses_other_records(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no record of a search space"):
        SearchSpace.from_json(record)


def test_ranges_are_the_boxs_or_the_full_ones() -> None:
    space = SearchSpace(
        {
            "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
            "layers": IntDistribution(1, 4),
            "optimizer": CategoricalDistribution(("adam", "sgd")),
        }
    )
    assert space.ranges({"learning_rate": (1e-4, 1e-2)}) == {
        "learning_rate": [1e-4, 1e-2],
        "layers": [1, 4],
        "optimizer": {"choices": ["adam", "sgd"]},
    }
    assert space.ranges({"optimizer": Choices(("sgd",))})["optimizer"] == {"choices": ["sgd"]}
