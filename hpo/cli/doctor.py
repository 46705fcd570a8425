"""``hpo doctor``: what is well with a storage, and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.options import artifacts_option, json_option, storage_option
from hpo.cli.printing import emit, plain, room, wrapped

if TYPE_CHECKING:
    from hpo.health import Health


@click.command(short_help="What is well with a storage, and what is not.")
@storage_option
@artifacts_option
@click.option("--repair", is_flag=True, help="Let the trials of dead searches wait again.")
@json_option
def doctor(storage: str, artifacts: str | None, repair: bool, as_json: bool) -> None:
    """Look at versions, the database, the searches that share it, and the stored networks.

    \b
    Example:
      hpo doctor
      hpo doctor --repair

    Every stored network is read. Without --repair nothing is changed. A damaged or unreachable
    database ends with exit code 4.
    """
    from hpo.health import Health, examine, versions
    from storage.errors import StorageError

    here = versions()
    error: StorageError | None = None
    health = Health()
    try:
        health = examine(storage, artifacts, repair=repair)
    except StorageError as refused:
        error = refused
    if health.damage:
        error = StorageError(f"the database is damaged: {health.damage[0]}; restore it from a copy")
    if as_json:
        healthy = error is None and not health.notes
        document = {"healthy": healthy, "versions": here} | vars(health)
        emit(json.dumps(document | {"error": None if error is None else str(error)}))
    else:
        lines = [*_versions(here), *(_screen(health) if health.storage else ())]
        emit("\n".join(wrapped(lines, room())))
    if error is not None:
        raise error


def _versions(here: dict[str, Any]) -> Iterator[str]:
    blas = ", ".join(
        f"{each['name']} {each['version']} with {each['threads']} threads" for each in here["blas"]
    )
    yield f"hpo {here['hpo']}, Python {here['python']}, {here['system']}, {here['cores']} cores"
    yield f"NumPy {here['numpy']}, {blas or 'no BLAS that is known'}"
    libraries = {
        "SQLAlchemy": here["sqlalchemy"],
        "Optuna": here["optuna"],
        "SQLite": here["sqlite"],
    }
    yield ", ".join(f"{name} {version}" for name, version in libraries.items())
    if here["drivers"]:
        yield ", ".join(f"{name} {version}" for name, version in here["drivers"].items())


def _screen(health: Health) -> Iterator[str]:
    yield ""
    yield from _storage(health)
    yield from _searches(health)
    yield from _networks(health)
    for each in health.repaired or ():
        trials, searches = _some(each["trials"], "trial"), _some(each["searches"], "dead search")
        yield f"repaired: {trials} of study {each['study']!r} wait again ({searches})"
    if health.repaired == []:
        yield "repaired: nothing, no search is dead"
    for line in health.damage:
        yield f"damage: {plain(line)}"
    yield from (f"note: {plain(note)}" for note in health.notes)
    if not health.damage and not health.notes:
        yield "all is well"


def _storage(health: Health) -> Iterator[str]:
    from hpo.cli.words import size

    storage = health.storage
    facts = [plain(storage["place"])]
    if "bytes" in storage:
        facts.append(size(storage["bytes"]))
    if "journal" in storage:
        facts += [f"{storage['journal']} journal", f"{size(storage['free'])} free on its disk"]
    elif "version" in storage:
        # PostgreSQL goes on with its compiler, MySQL does not say its name.
        version = plain(storage["version"]).partition(" on ")[0]
        facts.append(f"version {version}" if version[:1].isdigit() else version)
    yield f"storage: {', '.join(facts)}"
    if "optuna_tables" in storage:
        optunas, ours = storage["optuna_tables"] or "of no version", storage["hpo_tables"] or "none"
        yield f"tables: Optuna's {optunas}, hpo's {ours}"
    if storage["kind"] == "sqlite" and not health.damage:
        yield "checks: integrity and foreign keys are in order"


def _searches(health: Health) -> Iterator[str]:
    for each in health.searches:
        where = f"process {each['pid']} on {plain(each['host'])}"
        holds = f"{_some(each['trials'], 'trial')}, heard {each['silence']:.0f} s ago"
        state = "alive" if each["alive"] else "dead"
        yield f"search: {plain(each['study'])}, {where}, {holds}, {state}"
    if not health.searches and not health.damage:
        yield "searches: none is running"


def _networks(health: Health) -> Iterator[str]:
    from hpo.cli.words import size

    for each in health.networks:
        if "error" not in each:
            count, n_bytes = _some(each["networks"], "network"), size(each["bytes"])
            foreign = f", {each['unknown']} of studies that this storage does not know"
            others = foreign if each["unknown"] else ""
            yield f"networks: {count} in {plain(each['place'])}, {n_bytes}{others}"


def _some(count: int, what: str) -> str:
    ending = "es" if what.endswith("ch") else "s"
    return f"{count} {what}{'' if count == 1 else ending}"
