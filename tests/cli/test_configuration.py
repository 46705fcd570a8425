"""Where a setting comes from: a flag, a variable, three kinds of files, or the default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hpo.cli.app import cli
from hpo.cli.configuration import COMMON, keys
from tests.running import Hpo

LEVELS = ("default", "pyproject.toml", "hpo.toml", "chosen.toml", "variable", "flag")
"""The weakest first; each sets --trials to 100 plus its place, the default being 100."""


def say_at(level: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Set the number of trials at this level; returns what must be typed for it."""
    value = 100 + LEVELS.index(level)
    if level.endswith(".toml"):
        head = "tool.hpo.search" if level == "pyproject.toml" else "search"
        (folder / level).write_text(f"[{head}]\ntrials = {value}\n")
        return ["--config", level] if level == "chosen.toml" else []
    if level == "variable":
        monkeypatch.setenv("HPO_SEARCH_TRIALS", str(value))
    return ["--trials", str(value)] if level == "flag" else []


WHERE = {
    "default": ("default", None),
    "pyproject.toml": ("file", "pyproject.toml [tool.hpo.search]"),
    "hpo.toml": ("file", "hpo.toml [search]"),
    "chosen.toml": ("file", "chosen.toml [search]"),
    "variable": ("variable", "HPO_SEARCH_TRIALS"),
    "flag": ("flag", None),
}


@pytest.mark.parametrize("strongest", LEVELS)
def test_what_is_said_more_explicitly_holds(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strongest: str
) -> None:
    """With all weaker levels set as well."""
    typed: list[str] = []
    for level in LEVELS[1 : LEVELS.index(strongest) + 1]:
        typed += say_at(level, tmp_path, monkeypatch)
    expected = 100 + LEVELS.index(strongest)
    found = hpo("config", "search", *typed, "--json").document["commands"]["search"]["trials"]
    assert (found["value"], found["origin"], found["where"]) == (expected, *WHERE[strongest])
    path = str(tmp_path / strongest) if strongest.endswith(".toml") else None
    assert found["path"] == path
    planned = hpo("search", "iris", "--dry-run", "--json", "--hidden", 2, "--epochs", 1, *typed)
    assert planned.document["trials"]["total"] == expected


@pytest.mark.parametrize(
    ("file", "variable", "value", "where"),
    [
        ("workers = 3", None, 3, "hpo.toml"),
        ("workers = 3\n[search]\nworkers = 4", None, 4, "hpo.toml [search]"),
        ("workers = 3\n[ensemble]\nworkers = 4", None, 3, "hpo.toml"),
        ("[search]\nworkers = 4", "HPO_WORKERS", 9, "HPO_WORKERS"),
        ("[search]\nworkers = 4", "HPO_SEARCH_WORKERS", 9, "HPO_SEARCH_WORKERS"),
        ("[search]\nworkers = 4", "HPO_ENSEMBLE_WORKERS", 4, "hpo.toml [search]"),
    ],
)
def test_a_command_s_own_goes_before_what_holds_for_all(
    hpo: Hpo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    variable: str | None,
    value: int,
    where: str,
) -> None:
    (tmp_path / "hpo.toml").write_text(file)
    if variable is not None:
        monkeypatch.setenv(variable, "9")
    found = hpo("config", "search", "--json").document["commands"]["search"]["workers"]
    assert (found["value"], found["where"]) == (value, where)


def test_the_stronger_file_wins_also_over_the_table_of_a_command(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "hpo.toml").write_text("workers = 3")
    (tmp_path / "pyproject.toml").write_text("[tool.hpo.search]\nworkers = 4\nseed = 5\n")
    found = hpo("config", "search", "--json").document["commands"]["search"]
    assert (found["workers"]["value"], found["seed"]["value"]) == (3, 5)


def test_every_kind_of_value_reaches_the_command(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "hpo.toml").write_text(
        'storage = "sqlite:///other.db"\n'
        '[search]\ndata = "wine"\ntrials = 4\nrounds = 2\nhidden = "4"\nepochs = 2\nrepeats = 0\n'
        'keep-sealed = true\nspace = ["learning_rate=1e-3..1e-1:log", "dropout"]\ntest-size = 0.5\n'
        "json = true\n"
    )
    ran = hpo("search")
    assert (ran.code, ran.err.splitlines()[-1][:5]) == (0, "wine:")
    document = ran.document
    assert document["storage"] == "sqlite:///other.db"
    assert document["rows"]["test"] == 89
    assert document["trials"]["complete"] == 4
    assert list(document["rounds"][0]["ranges"]) == ["learning_rate", "weight_decay", "dropout"]
    assert document["test"]["evaluations"] == 0
    again = hpo("search", "--seed", 3)
    assert again.code == 2
    assert "seed 0 (stored) / 3 (asked for)" in again.err


def test_variables_take_lists_and_flags(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_SEARCH_SPACE", "dropout l1=1e-6..1e-4:log")
    monkeypatch.setenv("HPO_SEARCH_ASYNC", "1")
    monkeypatch.setenv("HPO_STORAGE", "")
    found = hpo("config", "search", "--json").document["commands"]["search"]
    assert found["space"]["value"] == ["dropout", "l1=1e-6..1e-4:log"]
    assert found["async"]["origin"] == "variable"
    assert found["storage"]["origin"] == "default"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "hpo.toml",
            "[search]\ntrails = 5",
            "hpo.toml: [search] has the unknown key 'trails': did you mean 'trials'?",
        ),
        (
            "hpo.toml",
            "[search]\nbatch_size = 5",
            "hpo.toml: [search] has the unknown key 'batch_size': did you mean 'batch-size'?",
        ),
        (
            "pyproject.toml",
            "[tool.hpo]\nstorrage = 'x'",
            "pyproject.toml: [tool.hpo] has the unknown key 'storrage': did you mean 'storage'?",
        ),
        ("hpo.toml", "zzz = 5", "hpo.toml has the unknown key 'zzz'"),
        ("hpo.toml", "trials = 5", "hpo.toml: trials must stand below [search]"),
        (
            "hpo.toml",
            "[serch]\ntrials = 5",
            "hpo.toml: [serch] is the table of no command: did you mean 'search'?",
        ),
        (
            "pyproject.toml",
            "[tool.hpo.search]\ntrials = '5'",
            "pyproject.toml: [tool.hpo.search] trials must be a whole number, not a text in quotes",
        ),
        (
            "hpo.toml",
            "workers = true",
            "hpo.toml: workers must be a whole number, not true or false",
        ),
        (
            "hpo.toml",
            "[search]\nrefit = 1",
            "hpo.toml: [search] refit must be true or false, not a number",
        ),
        (
            "hpo.toml",
            "[search]\nspace = 5",
            'hpo.toml: [search] space must be a list of texts, as in space = ["…"], not a number',
        ),
        (
            "hpo.toml",
            "[search]\ntimeout = 'long'",
            "hpo.toml: [search] timeout must be a number, not a text in quotes",
        ),
        (
            "hpo.toml",
            "storage = 1979-05-27",
            "hpo.toml: storage must be a text in quotes, not a date or time",
        ),
        ("hpo.toml", "search = 5", "hpo.toml: search must be a table, [search]"),
        (
            "pyproject.toml",
            "[tool]\nhpo = 5",
            "pyproject.toml: tool.hpo must be a table, [tool.hpo]",
        ),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_every_command(
    hpo: Hpo, tmp_path: Path, name: str, text: str, line: str
) -> None:
    (tmp_path / name).write_text(text)
    for command in ("search", "studies", "config"):
        ran = hpo(command)
        assert (ran.code, ran.out, ran.err) == (2, "", f"hpo: {line}\n")
    assert hpo("search", "--help").code == 0
    assert not (tmp_path / "hpo.db").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "--config mine.toml: there is no such file"),
        (b"trials = \n", "mine.toml is no TOML: Invalid value (at line 1, column 10)"),
        (b"a = '\xff'", "mine.toml is no text in UTF-8, as TOML is"),
    ],
)
def test_a_file_that_cannot_be_read(
    hpo: Hpo, tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "mine.toml").write_bytes(content)
    ran = hpo("studies", "--config", "mine.toml")
    assert (ran.code, ran.err) == (2, f"hpo: {says}\n")
    (tmp_path / "mine.toml").unlink(missing_ok=True)
    (tmp_path / "mine.toml").mkdir()
    assert hpo("studies", "--config", "mine.toml").err == (
        "hpo: mine.toml cannot be read: Is a directory\n"
    )


def test_who_has_set_what_an_option_refuses(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hpo.toml").write_text("test-size = 2.0\n[search]\nsampler = 'tpi'\n")
    assert "(--sampler comes from hpo.toml [search])" in hpo("search").err
    assert "(--sampler comes from hpo.toml [search])" in hpo("config").err
    assert "comes from" not in hpo("search", "--sampler", "tpa").err
    ran = hpo("search", "iris", "--sampler", "random")
    assert ran.code == 2
    assert ran.err == (
        "hpo: --test-size 2: it must lie between 0 and 1, as 0.2 does "
        "(--test-size comes from hpo.toml)\n"
    )
    monkeypatch.setenv("HPO_SEARCH_TRIALS", "0")
    assert "(--trials comes from HPO_SEARCH_TRIALS)" in hpo("search", "--sampler", "tpe").err


def test_a_password_of_a_file_is_shown_nowhere(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "hpo.toml").write_text('storage = "oracle://me:secret@host/db"')
    ran = hpo("studies")
    assert ran.code == 4
    assert "secret" not in ran.out + ran.err
    shown = hpo("config", "studies")
    assert "oracle://me:***@host/db  hpo.toml" in shown.out
    assert "secret" not in shown.out + hpo("config", "--json").out


# hpo config


def test_the_screen(hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hpo.toml").write_text('storage = "sqlite:///x.db"\n[studies]\njson = true\n')
    monkeypatch.setenv("HPO_ARTIFACTS", "there")
    assert hpo("config", "studies", "-q").out == (
        "settings files: hpo.toml\n"
        "\n"
        "hpo studies  value           from\n"
        "storage      sqlite:///x.db  hpo.toml\n"
        "artifacts    there           HPO_ARTIFACTS\n"
        "json         true            hpo.toml [studies]\n"
        "quiet        false           default\n"
        "verbose      false           default\n"
    )
    monkeypatch.setenv("COLUMNS", "40")
    lines = hpo("config").out.splitlines()
    assert max(map(len, lines)) <= 40
    assert [line.split()[1] for line in lines if line.startswith("hpo ")] == list(cli.commands)


def test_arguments_are_those_of_the_command(hpo: Hpo) -> None:
    found = hpo("config", "show", "wine/3", "--json").document["commands"]["show"]
    assert (found["study"]["value"], found["study"]["origin"]) == ("wine/3", "argument")
    ran = hpo("config", "show", "a", "b")
    assert (ran.code, ran.err) == (2, "hpo: hpo show takes no argument 'b'\n")
    assert hpo("config", "serch").err == (
        "hpo: there is no command 'serch': did you mean 'search'?\n"
    )


def test_a_variable_that_sets_nothing_is_noted(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_SEARCH_TRIAL", "5")
    note = "note: HPO_SEARCH_TRIAL sets nothing: did you mean HPO_SEARCH_TRIALS?\n"
    assert note in hpo("config", "search").err
    assert hpo("config", "search", "--quiet").err == ""
    monkeypatch.setenv("HPO_EPOCHS", "5")
    monkeypatch.setenv("HPO_LEADERBORD_TOP", "5")
    monkeypatch.setenv("HPO_TEST_MYSQL", "mysql://")
    monkeypatch.setenv("HPO_OF_ANOTHER", "5")
    notes = [line for line in hpo("studies").err.splitlines() if line.startswith("note:")]
    assert notes == [
        "note: HPO_EPOCHS sets nothing: did you mean HPO_SEARCH_EPOCHS?",
        "note: HPO_LEADERBORD_TOP sets nothing: did you mean HPO_LEADERBOARD_TOP?",
        "note: HPO_OF_ANOTHER sets nothing",
        note.rstrip(),
    ]


def test_keys_of_the_top_level_are_options(hpo: Hpo) -> None:
    known = {key for command in cli.commands.values() for key in keys(command)}
    assert set(COMMON) <= known
    assert not known & {"config", "help"}
    every = hpo("config", "-q", "--json").document["commands"]
    assert {name: set(each) for name, each in every.items()} == {
        name: set(keys(command)) for name, command in cli.commands.items()
    }


PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def test_the_page_runs_in_its_order(hpo: Hpo, tmp_path: Path) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert [kind for kind, _ in blocks] == ["sh", "toml", "text"]
    for line in blocks[0][1].splitlines():
        ran = hpo(*line.split()[1:])
        assert ran.code == 0, ran.err
        assert ran.out
    (tmp_path / "hpo.toml").write_text(blocks[1][1])
    found = hpo("config", "--json").document["commands"]
    assert found["search"]["data"]["value"] == "penguins.csv"
    assert found["leaderboard"]["top"]["value"] == 10
    assert found["gc"]["storage"]["value"] == "sqlite:///penguins.db"


def test_the_page_names_every_key_of_the_top_level() -> None:
    assert [key for key in COMMON if f"`{key}`" not in PAGE] == []


# --quiet and --verbose


def test_quiet_and_verbose(hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ("iris", "--trials", 2, "--rounds", 1, "--hidden", 2, "--epochs", 1, "--repeats", 0)
    (tmp_path / "hpo.toml").write_text("[search]\nseed = 4\n")
    told = hpo("search", *quick, "-v").err
    assert told.startswith("seed comes from hpo.toml [search]\n")
    assert "2/2 trials" in told
    quiet = hpo("search", *quick, "-q", "--study", "second")
    assert (quiet.code, quiet.err) == (0, "")
    assert "winner:" in quiet.out
    ran = hpo("studies", "-q", "-v")
    assert ran.code == 2
    assert "--quiet" in ran.err
    assert "--verbose" in ran.err
    monkeypatch.setenv("HPO_QUIET", "1")
    assert hpo("search", *quick, "--study", "third").err == ""
    assert hpo("search", *quick, "--study", "third", "-v").err.startswith("seed comes from")


def test_a_file_may_be_quiet_and_the_flag_verbose(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "hpo.toml").write_text("quiet = true\n")
    assert hpo("config", "completion", "bash", "-v").err == "quiet comes from hpo.toml\n"


def test_what_is_read_is_the_document(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert json.loads(hpo("config", "gc", "--json").out)["files"] == [
        str(tmp_path / "pyproject.toml")
    ]


def test_verbose_shows_where_an_internal_error_is(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("storage.reader.opened", broken)
    line = "hpo: internal error: RuntimeError: a mistake; HPO_DEBUG=1 shows where, please report it"
    assert hpo("studies").err.splitlines() == [line]
    shown = hpo("studies", "-v").err.splitlines()
    assert (shown[0], shown[-1]) == ("Traceback (most recent call last):", line)
    assert hpo("leaderboard", "--format", "x", "-v").err.count("\n") == 1
