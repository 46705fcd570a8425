"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.cli.words import duration, hidden, parameters, plus_minus, score, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98261, "0.983"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-12.3456, "-12.346"),
        (-3012.4, "-3012"),
        (-0.0000012345, "-1.234e-06"),
        (1.5e9, "1.5e+09"),
    ],
)
def test_scores(value: float, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.9661, 0.00881, "0.966 ± 0.009"),
        (0.9819, 0.0003, "0.982 ± 0.0003"),
        (-3012.4, 151.2, "-3012 ± 150"),
        (-1.2e-12, 3e-13, "-1.2e-12 ± 3e-13"),
    ],
)
def test_standard_errors(value: float, error: float, text: str) -> None:
    assert plus_minus(value, error) == text


def test_parameters_have_the_names_of_the_field() -> None:
    params = {"learning_rate": 0.00921, "weight_decay": 4.59e-4}
    assert parameters(params) == "lr: 9.21e-03, weight decay: 4.59e-04"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (0.2, "1 s"),
        (12.1, "13 s"),
        (89.9, "90 s"),
        (90, "2 min"),
        (180.0, "3 min"),
        (180.1, "4 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (1e6, "277.8 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (12_345_678, "12.3 MB"),
        (5e9, "5.0 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_sizes(n_bytes: float, text: str) -> None:
    assert size(n_bytes) == text


@pytest.mark.parametrize(
    "argument", ["search", "digits", "--trials", "--trials=4", "a b.csv", "--space=a=1..2", "x=y"]
)
def test_what_is_no_url_is_shown_as_it_was_typed(argument: str) -> None:
    assert hidden(argument) == argument


URLS = [
    "postgresql://user:{}@host/db",
    "mysql+pymysql://user:{}@host:3306/db?a=b=c",
    "postgresql://host/db?password={}",
    "postgresql://host/db?a=b&sslpassword={}",
]


@given(
    st.sampled_from(["", "--storage=", "--artifacts=", "--", "-x="]),
    st.sampled_from(URLS),
    st.text("ab1@:/?#%[]&=+ ", max_size=12),
)
def test_no_argument_shows_a_password(option: str, url: str, noise: str) -> None:
    shown = hidden(option + url.format(f"S3{noise}CRET"))
    assert "S3" not in shown
    assert "CRET" not in shown
    assert shown.startswith(option)
