"""The folder of results: locked by whoever writes into it, and valid at every instant.

Each file is written beside its place and renamed. What is graded is in the `parts`, one file for
each exercise of a candidate; everything else of a candidate can be made anew from them, and its
`scorecard.json` is there only while it agrees with them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from archprep.core.errors import UsageError
from archprep.core.sanitize import sanitize
from archprep.interview.model import FORMAT, NOT_GRADED, Batch, Graded, Received, Result

BATCH, LOCK, SCORECARD = "batch.json", "lock", "scorecard.json"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_MADE = ("report.html", "results.json", "junit.xml", SCORECARD)  # the last one: all are there
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_NEW = ".archprep-new"
_LOOK_SECONDS = 0.2


# ------------------------------------------------------------------ opening


@contextlib.contextmanager
def begun(root: Path, *, resume: bool) -> Iterator[Folder]:
    """Hold the folder for grading: a new or empty one, or with `resume` one that has results.

    UsageError, and nothing is touched, when it is in use, newer, or somebody else's.
    """
    _refuse_foreign(root)
    made = _make(root)
    try:
        with _locked(root):
            folder = Folder(root)
            if folder.has_begun and not resume:
                raise UsageError(
                    f"{shown(root)} has results already.",
                    tip="Go on with them: --resume. Or name another folder: --out FOLDER",
                )
            folder.tidy()
            yield folder
    finally:
        _forget_unused(root, made=made)


@contextlib.contextmanager
def reopened(root: Path) -> Iterator[Folder]:
    """Hold a folder that has results."""
    require(root)
    _read_batch(root / BATCH)
    with _locked(root):
        folder = Folder(root)
        folder.tidy()
        yield folder


def require(root: Path) -> None:
    """UsageError where nothing has been graded."""
    tip = "Name a folder that `archprep grade` has written to."
    if not root.exists():
        raise UsageError(f"There is no folder {shown(root)}.", tip=tip)
    if not (root / BATCH).is_file():
        raise UsageError(f"{shown(root)} has no results.", tip=tip)


def _refuse_foreign(root: Path) -> None:
    """Look only: what is not ours stays as it is."""
    try:
        names = {entry.name for entry in os.scandir(root)}
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(root, error) from None
    if BATCH in names:
        _read_batch(root / BATCH)
    elif any(name != LOCK and not name.endswith(_NEW) for name in names):
        raise UsageError(
            f"{shown(root)} is no folder of results, and is not empty.",
            tip="Name another folder; it need not exist yet: --out FOLDER",
        )


def _make(root: Path) -> bool:
    if root.is_dir():
        return False
    try:
        root.mkdir(mode=0o700, parents=True)  # holds people's code
    except OSError as error:
        raise _unwritable(root, error) from None
    return True


def _forget_unused(root: Path, *, made: bool) -> None:
    """Leave no folder behind in which nothing has begun."""
    if made and not (root / BATCH).exists():
        with contextlib.suppress(OSError):
            (root / LOCK).unlink(missing_ok=True)
            root.rmdir()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """The lock is the kernel's: it ends with the process, however that ends."""
    try:
        lock = (root / LOCK).open("ab")
    except OSError as error:
        raise _unwritable(root / LOCK, error) from None
    with lock:
        mine = _takes(lock, root / LOCK)
        if not mine:
            time.sleep(_LOOK_SECONDS)  # `archprep review` may just have looked who has it
            mine = _takes(lock, root / LOCK)
        if not mine:
            raise UsageError(
                f"Another archprep is grading into {shown(root)}.",
                tip="Wait until it has ended, or name another folder: --out FOLDER",
            )
        yield


def _takes(lock: IO[bytes], path: Path) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed the file in which nothing had begun.
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except OSError:
        return False


# ------------------------------------------------------------------ the folder


class Folder:
    """A folder of results that is held."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def has_begun(self) -> bool:
        """Whether it is known how its parts are graded."""
        return (self.root / BATCH).exists()

    def tidy(self) -> None:
        """Remove what somebody who was killed had not finished writing."""
        for path in [*self.root.rglob(f".*{_NEW}")]:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    # -------------------------------------------------------------- the batch

    def batch(self) -> Batch:
        """What is the same for all candidates."""
        return _read_batch(self.root / BATCH)

    def begin(self, batch: Batch) -> None:
        """Note it, before anything is graded."""
        write_json(self.root / BATCH, asdict(batch))

    # -------------------------------------------------------------- candidates

    def slugs(self) -> list[str]:
        """The candidates, by name of folder."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / "candidates") as found:
            return sorted(e.name for e in found if _SLUG.fullmatch(e.name) and e.is_dir())
        return []

    def candidate(self, slug: str) -> Path:
        """The folder of a candidate; it may not exist yet."""
        if not _SLUG.fullmatch(slug):
            raise ValueError(f"{slug!r} names no candidate")
        return self.root / "candidates" / slug

    def receive(self, received: Received) -> bool:
        """Note what a candidate has handed in; whether that is new."""
        place = self.candidate(received.slug)
        text = _noted(received)
        with contextlib.suppress(OSError, ValueError):
            if (place / "candidate.json").read_text(encoding="utf-8") == text:
                return False
        self._replace(received)
        self._outdate(received.slug)
        write(place / "candidate.json", text)
        return True

    def _replace(self, received: Received) -> None:
        """Put results of another submission aside: nothing of this one is graded yet."""
        paths = [*(self.candidate(received.slug) / "parts").glob("*.json")]
        if paths and any(_digest(path) != received.digest for path in paths):
            self.put_aside(received.slug)
            for path in paths:
                path.unlink()

    def received(self, slug: str) -> Received:
        """What a candidate has handed in; the folders are not known any more."""
        import msgspec

        path = self.candidate(slug) / "candidate.json"
        data = _read(path)
        data["parts"] = [{"exercise": name, "directory": ""} for name in data.get("exercises", ())]
        try:
            return msgspec.convert(data, Received, dec_hook=_path)
        except (
            msgspec.ValidationError,
            UnicodeError,
        ) as error:  # half of a character, for a number
            raise _damaged(path, str(error)) from None

    # -------------------------------------------------------------- parts

    def part(self, slug: str, exercise: str) -> Path:
        """The file of one exercise of a candidate."""
        return self.candidate(slug) / "parts" / f"{exercise}.json"

    def finished(self, received: Received, exercise: str) -> Graded | None:
        """What came of an exercise, if just this submission of it is graded for good."""
        with contextlib.suppress(UsageError):
            data = _read(self.part(received.slug, exercise))
            graded = _graded(data, exercise)
            if data["digest"] == received.digest and not _is_ours(graded):
                return graded
        return None

    def keep(self, slug: str, digest: str, graded: Graded) -> None:
        """Write what came of an exercise; an earlier result of it is put aside."""
        from archprep import report

        path = self.part(slug, graded.exercise)
        card = graded.scorecard
        kept = asdict(replace(graded, scorecard=None))
        kept["scorecard"] = None if card is None else report.to_json(card)
        self._outdate(slug)
        write_json(path, {"format": FORMAT, "digest": digest, "graded": kept})
        self._mark(slug, graded.exercise).unlink(missing_ok=True)

    def graded(self, slug: str, exercise: str) -> Graded:
        """What came of an exercise, whatever was handed in since."""
        try:
            return _graded(_read(self.part(slug, exercise)), exercise)
        except UsageError as e:
            return Graded(exercise, problem=f"{NOT_GRADED}{e.message}")

    def digest(self, slug: str, exercise: str) -> str:
        """The digest of what was graded."""
        return _digest(self.part(slug, exercise))

    def is_postponed(self, received: Received, exercise: str) -> bool:
        """Whether this submission has timed out beside others, and is to be graded alone."""
        with contextlib.suppress(OSError):
            return self._mark(received.slug, exercise).read_text() == received.digest
        return False

    def postpone(self, slug: str, digest: str, exercise: str) -> None:
        """Remember that, for the case that we are killed before."""
        write(self._mark(slug, exercise), digest)

    def _mark(self, slug: str, exercise: str) -> Path:
        return self.part(slug, exercise).with_suffix(".postponed")

    def _outdate(self, slug: str) -> None:
        (self.candidate(slug) / SCORECARD).unlink(missing_ok=True)

    # -------------------------------------------------------------- results

    def result(self, slug: str, *, sources: bool = True) -> Result:
        """Everything about a candidate; without the sources it is small."""
        received = self.received(slug)
        graded = [self.graded(slug, part.exercise) for part in received.parts]
        kept = graded if sources else [Graded(g.exercise, g.scorecard, g.problem) for g in graded]
        return Result(received, tuple(kept))

    def publish(self, slug: str, batch: Batch) -> None:
        """Make the files of a candidate that are made of the parts."""
        from archprep.interview import exports, pages

        place = self.candidate(slug)
        if (place / SCORECARD).exists():
            return
        result = self.result(slug)
        write(place / "report.html", pages.report(result, batch))
        write(place / "results.json", exports.gradescope(result))
        write(place / "junit.xml", exports.junit(result))
        write_json(place / SCORECARD, _scorecard(result))

    def publish_batch(self, batch: Batch) -> list[Result]:
        """Make the files of the batch; return all results, without the sources."""
        from archprep.interview import exports, pages, statistics

        results = [self.result(slug, sources=False) for slug in self.slugs()]
        figures = statistics.of(results)
        write(self.root / "summary.csv", exports.summary(results))
        write(self.root / "statistics.json", figures.dumps())
        write(self.root / "index.html", pages.index(results, batch, figures))
        return results

    def put_aside(self, slug: str) -> None:
        """Keep copies of a candidate's results under earlier/<n>, wholly or not at all."""
        place = self.candidate(slug)
        if not any((place / "parts").glob("*.json")):
            return
        earlier = place / "earlier"
        new = earlier / f".{os.getpid()}{_NEW}"
        try:
            (new / "parts").mkdir(parents=True)
            for path in [place / name for name in ("candidate.json", *_MADE)]:
                if path.exists():
                    shutil.copy2(path, new / path.name)
            for path in (place / "parts").glob("*.json"):
                shutil.copy2(path, new / "parts" / path.name)
            new.rename(_next(earlier))
        except OSError as error:
            raise _unwritable(earlier, error) from None
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _next(earlier: Path) -> Path:
    numbers = [int(p.name) for p in earlier.iterdir() if p.name.isascii() and p.name.isdigit()]
    return earlier / str(max(numbers, default=0) + 1)


# ------------------------------------------------------------------ what stands in the files


def kept_source(part: Path) -> dict[str, bytes]:
    """The files of a submission as they were graded, from the file of a part."""
    files = _read(part)["graded"]["source"]
    if any(".." in Path(name).parts or Path(name).is_absolute() for name in files):
        raise _damaged(part, "a file of it would lie outside its folder")
    return {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}


def _digest(part: Path) -> str:
    with contextlib.suppress(UsageError):
        return str(_read(part).get("digest"))
    return ""


def _noted(received: Received) -> str:
    try:
        return dumps(_without_paths(received))
    except (ValueError, TypeError, RecursionError):
        # What the candidate's machine reports may be anything; it stops nobody's grading.
        return dumps(_without_paths(replace(received, reported={})))


def _without_paths(received: Received) -> dict[str, Any]:
    data = asdict(received)
    del data["parts"]
    exercises = [part.exercise for part in received.parts]
    return {"format": FORMAT, **data, "exercises": exercises}


def _graded(data: dict[str, Any], exercise: str) -> Graded:
    from archprep import report

    try:
        kept = data["graded"]
        card = kept["scorecard"]
        scorecard = None if card is None else report.from_json(card)
        graded = Graded(str(kept["exercise"]), scorecard, kept["problem"], dict(kept["source"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the result of {exercise} is damaged ({error!r})") from None
    texts = all(isinstance(text, str) for text in (graded.problem or "", *graded.source.values()))
    if graded.exercise != exercise or (card is None) is (graded.problem is None) or not texts:
        raise UsageError(f"the result of {exercise} is damaged")
    return graded


def _is_ours(graded: Graded) -> bool:
    return graded.problem is not None and graded.problem.startswith(NOT_GRADED)


def failed(graded: Graded) -> bool:
    """Whether something of ours kept a verdict from the candidate."""
    return _is_ours(graded) or bool(graded.scorecard and not graded.scorecard.scored)


def _scorecard(result: Result) -> dict[str, Any]:
    """A candidate's scorecards in one document; times and flags as `candidate.json` has them."""
    from archprep import report

    received = result.received
    exercises = [
        {
            "exercise": graded.exercise,
            "problem": graded.problem,
            "scorecard": None if graded.scorecard is None else report.to_json(graded.scorecard),
        }
        for graded in result.graded
    ]
    return {
        "format": FORMAT,
        "candidate": received.name,
        "source": received.source,
        "received_at": received.received_at,
        "digest": received.digest,
        "flags": list(received.flags),
        "problem": received.problem,
        "score": result.score,
        "max_score": result.max_score,
        "exercises": exercises,
    }


def _read_batch(path: Path) -> Batch:
    import msgspec

    data = _read(path)
    try:
        return msgspec.convert(data, Batch)
    except msgspec.ValidationError as error:
        raise _damaged(path, str(error)) from None


def _read(path: Path) -> dict[str, Any]:
    """A file of ours; UsageError when it is damaged or newer than this archprep."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    found = data.get("format") if isinstance(data, dict) else None
    if type(found) is not int or found < 1:
        raise _damaged(path, "it has no `format` number")
    if found > FORMAT:
        raise UsageError(
            f"{shown(path.parent)} was written by a newer archprep (format {found}).",
            tip="Upgrade archprep: pip install --upgrade archprep. Or name another folder.",
        )
    return dict(data)


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{shown(path)} is damaged: {sanitize(why, 200)}.",
        tip="Bring it back from a backup, or grade into another folder: --out FOLDER",
    )


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)  # msgspec's own way of saying "unsupported type"


# ------------------------------------------------------------------ writing


def dumps(data: Any) -> str:
    """ASCII only, so that no sink can be tricked by its characters."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def write_json(path: Path, data: Any) -> None:
    """Write plain data wholly or not at all."""
    write(path, dumps(data))


def write(path: Path, text: str) -> None:
    """Write a text wholly or not at all; UsageError when there is no room for it."""
    new = path.with_name(f".{path.name}.{os.getpid()}{_NEW}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UsageError:
    if error.errno in FULL:
        return UsageError(
            f"The disk is full: {shown(path)} cannot be written.",
            tip="What was graded before is complete. Make room, then go on with --resume.",
        )
    return UsageError(
        f"{shown(path)} cannot be written: {error.strerror}.",
        tip="Make it writable, or name another folder: --out FOLDER",
    )


def shown(path: Path) -> str:
    """A path in a sentence."""
    return sanitize(str(path), 300)
