import json

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search.space import SearchSpace


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


def test_parse_of_nothing_is_the_default() -> None:
    assert SearchSpace.parse([]) == SearchSpace()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("learning_rte=1e-4..1e-2", "'learning_rte' cannot be tuned. Did you mean learning_rate?"),
        ("momentum=0..1", "'momentum' cannot be tuned. Tunable are learning_rate, weight_decay;"),
        ("", "'' cannot be tuned"),
        ("learning_rate", "this is no range; write learning_rate=LOW..HIGH"),
        ("learning_rate=", "this is no range"),
        ("learning_rate=1e-3", "this is no range"),
        ("learning_rate=a..b", "this is no range"),
        ("learning_rate=nan..1", "this is no range"),
        ("learning_rate=1..inf", "this is no range"),
        ("learning_rate=1..2:linear", "this is no range"),
        ("learning_rate=1..2:", "this is no range"),
        ("learning_rate=0.1..0.01", "the range is empty; 0.1 must be below 0.01"),
        ("learning_rate=1..1", "the range is empty; 1 must be below 1"),
        ("weight_decay=-1..1", "-1 is negative; start at 0 or above"),
        ("weight_decay=-2..-1:log", "-2 is negative"),
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
    }
