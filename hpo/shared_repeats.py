"""The networks by which a winner is chosen, trained by all searches of a study together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from hpo.preparation import Prepared
from hpo.search.folds import Folds
from hpo.search.repeats import Heard, Job, Repeat, Retrained, measuring, repeat, unheard
from hpo.study_store import LONGEST_WAIT_SECONDS, WAIT_SECONDS, StudyStore
from storage import repeats
from storage.artifacts import Artifact
from storage.errors import ArtifactError
from storage.repeats import Again, Choice, Taken

Keep = Callable[[Sequence[Repeat]], None]


class SharedRepeats:
    """Jobs of which each search trains a share; which of them trains what changes no result.

    The search that chooses keeps what it has trained in memory; the others store it. If it dies,
    what it has trained is trained again. ``heard`` is told how many are trained.
    """

    def __init__(
        self,
        store: StudyStore,
        prepared: Prepared,
        dealt: Folds | None,
        jobs: Sequence[Job],
        choice: Choice,
        heard: Heard = unheard,
    ) -> None:
        self.store = store
        self.prepared = prepared
        self.dealt = dealt
        self.jobs = {Again(job.number, job.repeat): job for job in jobs}
        self.choice = choice
        self.heard = heard
        self._own: dict[Again, Repeat] = {}
        self._others: set[Again] = set()
        self._asked = -math.inf

    def help(self, n_workers: int, deadline: float) -> bool:
        """Train a share of what nobody trains yet, and store it for who chooses.

        False, soon, if there is none.
        """
        return self._train_share(n_workers, deadline, self._store)

    def all(self, n_workers: int, deadline: float) -> list[Repeat] | None:
        """What became of every job, whoever trained it; None if ``deadline`` passes before."""
        while not self._all_here(n_workers, deadline):
            if self._train_share(n_workers, deadline, None):
                continue
            if time.time() >= deadline:
                return None
            time.sleep(WAIT_SECONDS)
        return list(self._own.values())

    def _train_share(self, n_workers: int, deadline: float, store: Keep | None) -> bool:
        if time.time() >= deadline or not self._may_be_free():
            return False
        self._asked = time.monotonic()
        share = self.store.write(
            lambda connection: repeats.claim(
                connection,
                self.store.study_id,
                self.choice,
                self.store.owner,
                list(self.jobs),
                self._own,
                self.store.known.since,
            )
        )
        own = [self.jobs[each] for each in share]
        for part in self._train(own, n_workers, deadline):
            if store is not None:
                store(part)
        return bool(own)

    def _taken(self) -> dict[Again, Taken]:
        taken = self.store.rounds.read(lambda connection: repeats.taken(connection, self.choice))
        self._others = {each for each, row in taken.items() if row.done}
        if self._others:
            self._tell()
        return taken

    def _tell(self) -> None:
        trials = {job.number for job in self.jobs.values()}
        done = len(self._own.keys() | self._others)
        self.heard(Retrained(len(trials), done, len(self.jobs)))

    def _may_be_free(self) -> bool:
        """Whether somebody should ask; now and then also if not, for those of dead searches."""
        long_ago = time.monotonic() - self._asked >= LONGEST_WAIT_SECONDS
        return long_ago or not self.jobs.keys() <= self._own.keys() | self._taken().keys()

    def _all_here(self, n_workers: int, deadline: float) -> bool:
        """Whether this search holds every job, now that it has read what the others are done with.

        What is missing or damaged there it trains itself.
        """
        if others := self.jobs.keys() - self._own.keys():
            taken = self._taken()
            if all(each in taken and taken[each].done for each in others):
                lost = self._load({each: taken[each].digest for each in others})
                for _ in self._train(lost, n_workers, deadline):
                    pass
        return self._own.keys() == self.jobs.keys()

    def _train(
        self, jobs: Sequence[Job], n_workers: int, deadline: float
    ) -> Iterator[list[Repeat]]:
        if not jobs:  # or processes would be started for nothing
            return
        self._tell()
        for part in repeat(self.prepared.problem, self.dealt, jobs, n_workers, deadline):
            self._own |= {Again(each.number, each.repeat): each for each in part}
            self._tell()
            yield part

    def _store(self, part: Sequence[Repeat]) -> None:
        """Let the others have these networks."""
        trained = [each for each in part if each.trained]
        digests = self.store.artifacts.save_all([self._artifact(each) for each in trained])
        stored = dict(zip(map(_again, trained), digests, strict=True))
        entered = {_again(each): stored.get(_again(each)) for each in part}
        unused = self.store.write(
            lambda connection: repeats.finish(connection, self.choice, self.store.owner, entered)
        )
        for digest in unused:
            self.store.artifacts.delete(digest)

    def _artifact(self, trained: Repeat) -> Artifact:
        # The uid makes the file this study's own, which no other study can remove.
        told = {"experiment": self.store.uid, **_again(trained)._asdict()}
        job = self.jobs[_again(trained)]
        architecture = self.prepared.problem.recipe.of(job.params).architecture
        return Artifact(*self.prepared.network(trained.params, told, architecture).to_bytes())

    def _load(self, digests: Mapping[Again, str | None]) -> list[Job]:
        """Read these networks; returns the jobs of which they are missing or damaged."""
        lost = []
        measure = measuring(self.prepared.problem, self.dealt)
        for again, digest in digests.items():
            job = self.jobs[again]
            try:
                network = None if digest is None else self.store.model(job.number, digest)
            except ArtifactError:
                lost.append(job)
                continue
            failed = Repeat(*again)
            self._own[again] = failed if network is None else measure(job, network.params[0])
        return lost


def _again(trained: Repeat) -> Again:
    return Again(trained.number, trained.repeat)
