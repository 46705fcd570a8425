"""Runs the command in children that die or fail where they are told, and looks at what they left.

To import everything takes seconds, so a helper process (``python -m tests.faults.killing``) does it
once, runs the command once, and then forks a child for each run. It has one thread, or a child
might begin with a lock that nobody releases.
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import mmap
import os
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, NoReturn, TypeVar

from hpo.cli.app import main, run
from tests.faults.looking import KEEP, Study, look, rows
from tests.running import Ran

ROOT = Path(__file__).parents[2]
CHECK = "storage.sqlite:check_before_writing"

COMMAND = (
    "search", "iris", "--trials", "7", "--rounds", "3", "--hidden", "3", "--epochs", "2",
    "--keep", str(KEEP), "--workers", "1", "--json",
)  # fmt: skip
"""Three rounds, of 3, 3 and 1 trials; the later ones push networks out of the best two."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """What happens to a run, and when.

    ``where`` names what is counted: every SQL ``statement`` (of those that take many rows each
    row), every ``COMMIT``, or the calls of ``module:function``. The ``at``-th of them is struck, of
    lasting faults all that follow too. ``moment`` is before or after it, or before or after the
    COMMIT that comes next.
    """

    what: Literal["kill", "stop", "interrupt", "terminate", "fail", "fail on", "disk full"]
    where: str = "statement"
    at: int = 1
    moment: Literal["before", "after", "before the COMMIT", "after the COMMIT"] = "before"

    def strike(self) -> None:
        """Let it happen in this process."""
        if self.what in {"fail", "fail on"}:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            error.sqlite_errorname = "SQLITE_IOERR"
            raise error
        if self.what == "disk full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sent = {"kill": "SIGKILL", "stop": "SIGSTOP", "interrupt": "SIGINT"}
        os.kill(os.getpid(), signal.Signals[sent.get(self.what, "SIGTERM")])


@dataclass(frozen=True)
class Run:
    """How a child runs the command.

    ``values`` replaces values of modules, ``module:name`` -> value; ``pages`` is how many pages the
    database may have; ``user`` is who opens it.
    """

    folder: str
    arguments: Sequence[str] = COMMAND
    fault: Fault | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    pages: int | None = None
    user: int | None = None


@dataclass(frozen=True)
class Died(Ran):
    """What a child left: its code, negative for a signal, and how many points it passed."""

    points: int = 0


# The side of the tests


class Helper:
    """The warm process."""

    def __init__(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("HPO_")}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.faults.killing"],
            cwd=ROOT,
            env=env | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def close(self) -> None:
        """End it; it does so by itself when its input ends."""
        self._process.communicate(timeout=60)

    def start(self, folder: Path, *arguments: str, **options: Any) -> int:
        """Start the command in ``folder`` and return the child's process id."""
        run = Run(str(folder), arguments or COMMAND, **options)
        return int(self._ask(asdict(run))["pid"])

    def wait(self, pid: int, seconds: float = 30) -> Died:
        """Wait for a started child, which is killed when it takes longer."""
        return Died(**self._ask({"pid": pid, "seconds": seconds}))

    def run(self, folder: Path, *arguments: str, **options: Any) -> Died:
        """Start the command and wait for its end."""
        return self.wait(self.start(folder, *arguments, **options))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def helper() -> Iterator[Helper]:
    """A warm process, ended at the end."""
    warm = Helper()
    try:
        yield warm
    finally:
        warm.close()


def is_stopped(pid: int) -> bool:
    """Whether a process stands still after SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition that is sure to come; fails if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.002)


@dataclass(frozen=True)
class Calm:
    """What an undisturbed run leaves: its study, and the JSON object that it prints.

    ``template`` is a folder with a database that has its tables and nothing in them: to copy it is
    quicker than to create another one. ``statements`` and ``commits`` are how many there are in a
    run over a copy, ``creating`` how many statements more a run without one takes.
    """

    study: Study
    document: dict[str, Any]
    template: Path
    statements: int
    commits: int
    creating: int


NEVER = 10**9


def undisturbed(helper: Helper, folder: Path, *command: str) -> Calm:
    """Run the command in peace, and count what it does."""
    template = folder / "template"
    template.mkdir()
    killed = helper.run(template, *command, fault=Fault("kill", "hpo.joining:_record"))
    assert killed.code == -signal.SIGKILL, killed.err
    with closing(sqlite3.connect(template / "hpo.db")) as connection:
        # Closed in order it is one file, without a log.
        assert connection.execute("SELECT * FROM studies").fetchall() == []
    points: list[int] = []
    studies, documents = [], []
    for where, begin in (("statement", None), ("statement", template), ("COMMIT", template)):
        place = copied(begin, folder / f"run{len(points)}")
        ran = helper.run(place, *command, fault=Fault("kill", where, NEVER))
        assert ran.code == 0, ran.err
        points.append(ran.points)
        studies.append(look(place))
        documents.append(ran.document | {"seconds": 0})
    assert studies[0] == studies[1] == studies[2]
    assert documents[0] == documents[1] == documents[2]
    fresh, statements, commits = points
    return Calm(studies[0], documents[0], template, statements, commits, fresh - statements)


def copied(template: Path | None, folder: Path) -> Path:
    """``folder``, new, with the files of a template if there is one."""
    if template is None:
        folder.mkdir()
    else:
        shutil.copytree(template, folder)
    return folder


def check_finished(folder: Path, ran: Ran, calm: Calm, artifacts: Path | None = None) -> None:
    """Check that a run ended well, and left and said all that an undisturbed one does, no more."""
    assert ran.code == 0, ran.err
    unusual = [line for line in ran.err.splitlines() if not line.startswith("iris: round ")]
    assert unusual == [], ran.err
    assert look(folder, artifacts) == calm.study
    assert rows(folder, "SELECT * FROM hpo_claims") == []
    assert ran.document | {"seconds": 0} == calm.document


# The side of the helper: a child with its trap


class Trap:
    """Counts the points that a run passes, and strikes at one of them."""

    def __init__(self, fault: Fault | None, shown: mmap.mmap) -> None:
        self.fault = fault or Fault("kill", "nothing")
        self.shown = shown
        self.count = 0
        # Until a function has been called whose COMMIT is meant, no COMMIT is.
        self.awaits_commit = False

    def statement(self, do: Callable[[], T]) -> T:
        """Pass one SQL statement."""
        return self._pass(do) if self.fault.where == "statement" else do()

    def commit(self, do: Callable[[], T]) -> T:
        """Pass the end of a transaction that wrote."""
        if self.fault.where == "COMMIT":
            return self._pass(do)
        if not self.awaits_commit:
            return self.statement(do)
        self.awaits_commit = False
        if self.fault.moment == "before the COMMIT":
            self.fault.strike()
        result = do()
        if self.fault.moment == "after the COMMIT":
            self.fault.strike()
        return result

    def install(self) -> None:
        """Catch the calls of the function, if it is one that is struck."""
        if ":" not in self.fault.where:
            return
        _around(self.fault.where, self._pass)

    def _pass(self, do: Callable[[], T]) -> T:
        self.count += 1
        struct.pack_into("q", self.shown, 0, self.count)
        lasting = self.fault.what in {"fail on", "disk full"}
        if self.count != self.fault.at and not (lasting and self.count > self.fault.at):
            return do()
        if self.fault.moment == "before":
            self.fault.strike()
        if self.fault.moment.endswith("COMMIT"):
            self.awaits_commit = True
        result = do()
        if self.fault.moment == "after":
            self.fault.strike()
        return result


class _Cursor(sqlite3.Cursor):
    """A cursor whose statements pass the trap of this process."""

    trap: ClassVar[Trap]

    def execute(self, sql: str, values: Any = (), /) -> _Cursor:
        return self.trap.statement(lambda: super(_Cursor, self).execute(sql, values))

    def executemany(self, sql: str, rows: Iterable[Any], /) -> _Cursor:
        return super().executemany(sql, self._each(rows))

    def _each(self, rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            self.trap.statement(lambda: None)
            yield row


class _Connection(sqlite3.Connection):
    """A connection whose statements and ends of transactions pass the trap."""

    pages: ClassVar[int | None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.pages is not None:
            super().execute(f"PRAGMA max_page_count = {self.pages}")

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, values: Any = (), /) -> Any:
        # The inherited one uses a plain cursor.
        return self.cursor().execute(sql, values)

    def commit(self) -> None:
        if self.in_transaction:
            _Cursor.trap.commit(super().commit)

    def rollback(self) -> None:
        if self.in_transaction:
            _Cursor.trap.statement(super().rollback)


def _as_user(user: int, do: Callable[[], T]) -> T:
    os.setresuid(user, user, user)
    return do()


def _around(where: str, pass_on: Callable[[Callable[[], Any]], Any]) -> None:
    """Let the calls of a function go through ``pass_on``."""
    holder, name = _find(where)
    function = getattr(holder, name)

    @functools.wraps(function)
    def caught(*args: Any, **options: Any) -> Any:
        return pass_on(lambda: function(*args, **options))

    setattr(holder, name, caught)


def _find(where: str) -> tuple[Any, str]:
    """What holds the name that ``module:name`` or ``module:Class.name`` means."""
    module, _, path = where.partition(":")
    *outer, name = path.split(".")
    return functools.reduce(getattr, outer, importlib.import_module(module)), name


class Child:
    """A forked process that runs the command as its own process would."""

    def __init__(self, run: Run) -> None:
        self._points = mmap.mmap(-1, 8)
        self._out, self._err = os.memfd_create("stdout"), os.memfd_create("stderr")
        self.pid = os.fork()
        if not self.pid:
            self._live(run)

    def _live(self, run: Run) -> NoReturn:
        """Run it, and end with a code that the command does not have if something is wrong here."""
        code: object = None
        try:
            self._prepare(run)
            main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else 99)

    def _prepare(self, run: Run) -> None:
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)
        sys.argv = ["hpo", *run.arguments]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if (user := run.user) is not None:
            # Not before: the data sets may lie where nobody else can read them.
            _around(CHECK, lambda do: _as_user(user, do))
        os.chdir(run.folder)
        for where, value in run.values.items():
            setattr(*_find(where), value)
        _Connection.pages = run.pages
        _Cursor.trap = Trap(run.fault, self._points)
        _Cursor.trap.install()
        sqlite3.connect = functools.partial(sqlite3.connect, factory=_Connection)  # type: ignore[assignment]

    def end(self, seconds: float) -> Died:
        """What it left when it ended, or was killed because it did not."""
        descriptor = os.pidfd_open(self.pid)
        late = not select.select([descriptor], [], [], seconds)[0]
        os.close(descriptor)
        if late:
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        out, err = map(_content, (self._out, self._err))
        note = f"it did not end within {seconds:g} s\n" if late else ""
        (points,) = struct.unpack_from("q", self._points, 0)
        return Died(code, out, note + err, points)


def _content(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return file.read().decode()


def _serve(questions: IO[str], answers: IO[str]) -> None:
    """Start children and wait for them, as asked."""
    children: dict[int, Child] = {}
    for line in questions:
        question = json.loads(line)
        if "folder" in question:
            fault = question.pop("fault")
            child = Child(Run(**question, fault=fault and Fault(**fault)))
            children[child.pid] = child
            answer: dict[str, Any] = {"pid": child.pid}
        else:
            answer = asdict(children.pop(question["pid"]).end(question["seconds"]))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _warm_up() -> None:
    """Import all that the command needs, by running it in this process."""
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        os.chdir(folder)
        for descriptor in (1, 2):
            os.dup2(said.fileno(), descriptor)
        codes = run(COMMAND), run(COMMAND)
        sys.stdout.flush()
        os.chdir(ROOT)
    for descriptor, copy in enumerate(kept, start=1):
        os.dup2(copy, descriptor)
        os.close(copy)
    assert codes == (0, 0)


if __name__ == "__main__":
    # scikit-learn imports pandas if it is there, which imports this, which starts threads.
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    _warm_up()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork of several threads may hang"  # noqa: PTH208
    _serve(sys.stdin, sys.stdout)
