"""A storage as the dashboard reads it, with what we tell of each study; nothing is written.

A note, figures and artifacts of a study stand in its system attributes. Ours are made when they are
read, from what is stored by then: so they are never out of date, and a database that may only be
read has them too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import optuna
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna_dashboard import get_note, save_note, save_plotly_graph_object

from hpo.dashboard.curves import curves_csv, curves_png
from hpo.dashboard.recounted import Recounted
from hpo.report.figures import figures
from hpo.report.note import note
from hpo.report.page import report
from hpo.report.records import Study, Trial
from storage.watching import WatchedStorage

OURS = ("dashboard:note", "dashboard:plot_data:", "dashboard:artifacts:", "artifacts:")
"""Attributes that may be made when they are read."""

REPORT = "report.html", "text/html"

OF_TRIAL: Sequence[tuple[str, str, Callable[[Study, Trial], bytes]]] = (
    ("curves.csv", "text/csv", lambda _study, trial: curves_csv(trial.curves).encode()),
    ("curves.png", "image/png", curves_png),
)
"""Name, type and content of what a trial has whose curves were read."""


class ToldStorage(WatchedStorage):
    """An Optuna storage whose studies have notes, figures and artifacts of ours.

    ``recounted`` is where their stories come from.
    """

    def __init__(self, url: str, recounted: Recounted) -> None:
        super().__init__(url)
        self.recounted = recounted
        self._known: dict[int, tuple[Study, dict[str, Any]]] = {}
        self._lock = Lock()

    def get_all_studies(self) -> list[FrozenStudy]:
        """As Optuna has them, but for their system attributes."""
        studies = super().get_all_studies()
        for each in studies:
            number, stored = each._study_id, each.system_attrs  # noqa: SLF001
            # It is read as any mapping is; ours are not made for a list of studies.
            each.system_attrs = _Attributes(self, number, stored)  # type: ignore[assignment]
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Optuna's, and ours."""
        return self.told(study_id, super().get_study_system_attrs(study_id))

    def told(self, study_id: int, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The stored attributes and ours; only those that are stored of another program's study."""
        with self._lock:
            study = self.recounted.study(self.get_study_name_from_id(study_id))
            if study is None:
                return dict(stored)
            known = self._known.get(study_id)
            if known is None or known[0] is not study:
                known = study, self._made(study_id, study, stored)
                self._known[study_id] = known
            return {**stored, **known[1]}

    def _made(self, study_id: int, study: Study, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Note, figures and artifacts."""
        memory = InMemoryStorage()
        own = memory.create_new_study([StudyDirection.MAXIMIZE], study.name)
        for name, value in stored.items():
            if name.startswith("dashboard:note"):
                memory.set_study_system_attr(own, name, value)
        copy = optuna.load_study(study_name=study.name, storage=memory)
        theirs = get_note(copy)
        # What somebody wrote into the dashboard stays, and comes first.
        save_note(copy, f"{theirs}\n\n---\n\n{note(study)}" if theirs else note(study))
        for name, figure in figures(study):
            save_plotly_graph_object(copy, figure, graph_object_id=name)
        return {**memory.get_study_system_attrs(own), **self._artifacts(study_id, study)}

    def _artifacts(self, study_id: int, study: Study) -> dict[str, str]:
        whole = ArtifactId(study_id, None)
        found = {f"artifacts:{whole}": _described(whole, *REPORT)}
        for each in study.ranked:
            if each.curves:
                trial = self.get_trial_id_from_study_id_trial_number(study_id, each.number)
                for which, (name, mimetype, _) in enumerate(OF_TRIAL):
                    own = ArtifactId(study_id, OfTrial(each.number, which))
                    described = _described(own, name, mimetype)
                    found[f"dashboard:artifacts:{trial}:{own}"] = described
        return found

    def artifact(self, artifact_id: str) -> bytes:
        """What an artifact of ours holds; raises ``ArtifactNotFound`` for another."""
        gone = ArtifactNotFound(f"there is no artifact {artifact_id}")
        try:
            study_id, of_trial = ArtifactId.parse(artifact_id)
            study = self.recounted.study(self.get_study_name_from_id(study_id))
        except (ValueError, KeyError) as error:
            raise gone from error
        if study is None:
            raise gone
        if of_trial is None:
            return report(study).encode("utf-8", "backslashreplace")
        for trial in study.trials:
            if trial.number == of_trial.number and trial.curves and of_trial.which < len(OF_TRIAL):
                return OF_TRIAL[of_trial.which][2](study, trial)
        raise gone


class ToldArtifacts:
    """The artifacts of a `ToldStorage` as Optuna's dashboard asks for them."""

    def __init__(self, storage: ToldStorage) -> None:
        self.storage = storage

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """A file to read."""
        return io.BytesIO(self.storage.artifact(artifact_id))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refused."""
        raise PermissionError(f"{artifact_id}: this dashboard only shows")

    def remove(self, artifact_id: str) -> None:
        """Refused."""
        raise PermissionError(f"{artifact_id}: this dashboard only shows")


class OfTrial(NamedTuple):
    """A trial's number, and which of `OF_TRIAL` is meant."""

    number: int
    which: int


class ArtifactId(NamedTuple):
    """The study of an artifact, and what of which trial if it is one's; as text in hexadecimal."""

    study_id: int
    of_trial: OfTrial | None

    def __str__(self) -> str:
        return "-".join(f"{each:x}" for each in (self.study_id, *(self.of_trial or ())))

    @classmethod
    def parse(cls, text: str) -> ArtifactId:
        """The one that was written so; raises ``ValueError``."""
        study, *of_trial = (int(each, 16) for each in text.split("-"))
        if len(of_trial) not in {0, len(OfTrial._fields)}:
            raise ValueError(text)
        return cls(study, OfTrial(*of_trial) if of_trial else None)


def _described(artifact_id: ArtifactId, name: str, mimetype: str) -> str:
    """As Optuna describes an artifact."""
    described = {"artifact_id": str(artifact_id), "filename": name, "mimetype": mimetype}
    return json.dumps({**described, "encoding": None})


class _Attributes(Mapping[str, Any]):
    """System attributes; ours are made when one of them is asked for, not for a list of studies."""

    def __init__(self, storage: ToldStorage, study_id: int, stored: Mapping[str, Any]) -> None:
        self._storage, self._study_id, self._stored = storage, study_id, stored
        self._made: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        return self._all()[name] if name.startswith(OURS) else self._stored[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, Any]:
        """Those of a dictionary, which are read for each trial once."""
        return self._all().items()

    def _all(self) -> dict[str, Any]:
        if self._made is None:
            self._made = self._storage.told(self._study_id, self._stored)
        return self._made
