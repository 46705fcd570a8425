"""The steps of our schema against the schema itself, and against Optuna's own tables."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages._rdb import models

from storage import migrations
from storage.errors import StorageError
from storage.schema import metadata
from storage.trials import RoundStorage
from tests.running import stock_optuna
from tests.storage.databases import Database
from tests.storage.looking import content, schema, sql


def is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    return kind != "table" or str(name).startswith("hpo_")


def described(path: Path) -> dict[str, list[Any]]:
    """What SQLite says of our tables."""
    with closing(sqlite3.connect(path)) as connection:
        found = {
            f"{pragma} {table}": sorted(connection.execute(f"PRAGMA {pragma}({table})"))
            for table in metadata.tables
            for pragma in ("table_info", "foreign_key_list", "index_list")
        }
    # SQLAlchemy makes the indexes of a table in any order, by which they are numbered.
    for table in metadata.tables:
        found[f"index_list {table}"] = sorted(row[1:] for row in found[f"index_list {table}"])
    return found


def test_alembic_finds_no_difference(rounds: RoundStorage) -> None:
    with rounds.reading() as connection:
        options = {
            "version_table": migrations.VERSION_TABLE,
            "include_object": is_ours,
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_sqlite_sees_the_same_tables(path: Path, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/declared.db")
    metadata.create_all(engine)
    engine.dispose()
    assert described(path) == described(tmp_path / "declared.db")
    assert {name for name in schema(path) if name.startswith("hpo_")} == {
        *metadata.tables,
        migrations.VERSION_TABLE,
    }


def test_optunas_tables_are_its_own(path: Path, tmp_path: Path) -> None:
    with stock_optuna(tmp_path / "theirs.db"):
        pass
    expected = schema(tmp_path / "theirs.db")
    assert {name: sql for name, sql in schema(path).items() if name in expected} == expected
    others = set(schema(path)) - set(expected)
    assert all("hpo_" in name for name in others)
    for table in ("alembic_version", "version_info"):
        query = f"SELECT * FROM {table}"
        assert sql(path, query) == sql(tmp_path / "theirs.db", query)


def test_upgrading_twice_is_nothing(rounds: RoundStorage, path: Path) -> None:
    rounds.engine.dispose()
    before = content(path.parent)
    with rounds.transaction() as connection:
        migrations.upgrade(connection)
        assert migrations.current(connection) == migrations.HEAD
    rounds.engine.dispose()
    assert content(path.parent) == before


def test_the_last_step_leads_to_the_present_schema() -> None:
    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_a_failed_upgrade_leaves_nothing(rounds: RoundStorage, path: Path) -> None:
    drop_ours(path)
    before = schema(path)
    with pytest.raises(ZeroDivisionError), rounds.transaction() as connection:
        upgrade_and_fail(connection)
    assert schema(path) == before
    with rounds.transaction() as connection:
        migrations.upgrade(connection)
    assert set(metadata.tables) < set(schema(path))


def upgrade_and_fail(connection: sa.Connection) -> None:
    migrations.upgrade(connection)
    raise ZeroDivisionError


def drop_ours(path: Path) -> None:
    for table in (*reversed(metadata.sorted_tables), migrations.VERSION_TABLE):
        sql(path, f"DROP TABLE {table}")


def test_a_newer_schema_is_refused(path: Path) -> None:
    sql(path, f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'")
    before = schema(path)
    with pytest.raises(
        StorageError, match=r"by a newer version of hpo \(schema 9999\): upgrade hpo"
    ):
        RoundStorage(f"sqlite:///{path}")
    assert schema(path) == before
    assert sql(path, f"SELECT * FROM {migrations.VERSION_TABLE}") == [("9999",)]


class CutError(BaseException):
    """Ends the process, as it were."""


@contextmanager
def cut_after_a_new_change(known: set[str]) -> Iterator[None]:
    """End after the first statement that changes the schema and is not ``known``, and note it."""

    def cut(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        changes = statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE hpo_"))
        if changes and statement not in known:
            known.add(statement)
            raise CutError

    sa.event.listen(sa.Engine, "after_cursor_execute", cut)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", cut)


@pytest.mark.parametrize(
    "bare_database",
    [
        pytest.param("sqlite", marks=pytest.mark.slow),  # see test_creation.py
        pytest.param("postgresql", marks=pytest.mark.slow),
        pytest.param("mysql", marks=pytest.mark.slow),
    ],
    indirect=True,
)
def test_a_creation_cut_short_after_any_change_is_completed(bare_database: Database) -> None:
    """On MySQL each change stays, whatever becomes of the transaction."""
    cuts: set[str] = set()
    while True:
        before = len(cuts)
        with contextlib.suppress(CutError), cut_after_a_new_change(cuts):
            rounds = RoundStorage(bare_database.url)
        if len(cuts) == before:
            break
        # SQLite holds a lock as long as somebody holds the cursor; a process that ends does not.
        gc.collect()
    assert len(cuts) > 25
    with rounds.reading() as connection:
        for each in (metadata, models.BaseModel.metadata):
            options = {"version_table": "none", "compare_type": False}
            context = MigrationContext.configure(connection, opts=options)
            differences = compare_metadata(context, each)
            assert [one for one in differences if names_of(one) & set(each.tables)] == []
        assert migrations.current(connection) == migrations.HEAD
    assert rounds.get_current_version() == rounds.get_head_version()
    rounds.close()


def names_of(difference: Any) -> set[str]:
    """The tables that a difference is about."""
    if isinstance(difference, list):
        return {difference[0][2]}
    named = difference[1]
    return {named.name} | ({named.table.name} if hasattr(named, "table") else set())
