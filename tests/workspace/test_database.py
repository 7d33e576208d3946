"""The database survives other processes, damage, full disks and unreadable folders."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from conftest import OrdinaryUser  # noqa: TC002 - as in the other test modules

from archprep.core.errors import UsageError
from archprep.workspace import database as database_module
from archprep.workspace.database import Database, StoreError

INSERT = "INSERT INTO give_ups VALUES (?, ?)"
COUNT = "SELECT count(*) FROM give_ups"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the database, which does not exist yet."""
    return tmp_path / "home" / "state.sqlite"


Opener = Callable[[Path], Database]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Open databases that are closed after the test."""
    made: list[Database] = []

    def open_one(path: Path) -> Database:
        made.append(Database(path))
        return made[-1]

    yield open_one
    for database in made:
        database.close()


@pytest.fixture
def database(path: Path, opened: Opener) -> Database:
    """A database with one row."""
    database = opened(path)
    database.write(INSERT, ("q1", "then"))
    return database


def broken_files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("state.sqlite.broken-*"))


@pytest.mark.parametrize("size", [8, 5000])
def test_a_damaged_file_is_moved_aside(path: Path, size: int, opened: Opener) -> None:
    """Its bytes are kept under another name, a new database is started, and the user is warned."""
    path.parent.mkdir()
    garbage = b"garbage!" * (size // 8)
    path.write_bytes(garbage)
    database = opened(path)
    assert database.read(COUNT) == []
    database.write(INSERT, ("q1", "now"))
    assert database.read(COUNT) == [(1,)]
    [kept] = broken_files(path)
    assert kept.read_bytes() == garbage
    [warning] = database.warnings
    assert kept.name in warning


def test_damage_inside_is_noticed_when_it_is_read(
    database: Database, path: Path, opened: Opener
) -> None:
    """A file with a valid header and damaged pages is moved aside as well."""
    for n in range(100):
        database.write(INSERT, (f"q{n + 10}", "x" * 50))
    database.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    again = opened(path)
    assert again.read(COUNT) == []
    assert [p.read_bytes() for p in broken_files(path)] == [bytes(data)]


@pytest.mark.parametrize("sql", ["CREATE TABLE mine (a)", "PRAGMA user_version = 99"])
def test_another_programs_database_is_moved_aside(path: Path, sql: str, opened: Opener) -> None:
    """A valid file of another program is neither used nor overwritten."""
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute(sql)
    other.close()
    database = opened(path)
    database.write(INSERT, ("q1", "now"))
    assert len(broken_files(path)) == 1
    assert database.read(COUNT) == [(1,)]


@pytest.mark.parametrize(
    "sql", ["DROP TABLE give_ups", "ALTER TABLE give_ups RENAME COLUMN exercise TO other"]
)
def test_a_missing_table_or_column_counts_as_damage(
    database: Database, path: Path, opened: Opener, sql: str
) -> None:
    """What is left is moved aside, and work goes on."""
    database.close()
    with sqlite3.connect(path) as other:
        other.execute(sql)
    other.close()
    again = opened(path)
    again.write("INSERT INTO give_ups (exercise, at) VALUES (?, ?)", ("q2", "now"))
    assert again.read(COUNT) == [(1,)]
    assert len(broken_files(path)) == 1


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_journals_go_with_the_damaged_file(path: Path, opened: Opener, suffix: str) -> None:
    """A journal of the damaged file must not be applied to the new database."""
    path.parent.mkdir()
    path.write_bytes(b"garbage!" * 1000)
    Path(f"{path}{suffix}").write_bytes(b"journal")
    opened(path).write(INSERT, ("q1", "now"))
    assert not Path(f"{path}{suffix}").exists()
    assert path.name in {p.name for p in path.parent.iterdir()}


def test_a_broken_file_never_replaces_an_older_one(path: Path, opened: Opener) -> None:
    """Two within a second get two names."""
    path.parent.mkdir()
    for _ in range(2):
        path.write_bytes(b"garbage" * 100)
        database = opened(path)
        database.read(COUNT)
        database.close()
    assert len(broken_files(path)) == 2


def test_a_newer_schema_asks_for_an_upgrade(database: Database, path: Path, opened: Opener) -> None:
    """The file of a newer archprep is not changed."""
    database.write("PRAGMA user_version = 999", ())
    database.close()
    before = path.read_bytes()
    again = opened(path)
    for use in (lambda: again.read(COUNT), lambda: again.write(INSERT, ("q2", "now"))):
        with pytest.raises(UsageError, match="newer archprep") as caught:
            use()
        assert "pip install --upgrade" in (caught.value.tip or "")
    assert path.read_bytes() == before
    assert broken_files(path) == []


def test_an_empty_file_is_filled(path: Path, opened: Opener) -> None:
    """An interrupted creation leaves one; it does not count as damage."""
    path.parent.mkdir()
    path.touch()
    database = opened(path)
    database.write(INSERT, ("q1", "now"))
    assert database.read(COUNT) == [(1,)]
    assert database.warnings == []


WRITER = """
import sys
from pathlib import Path
from archprep.workspace.database import Database
path, name = sys.argv[1:]
for n in range(20):
    Database(Path(path)).write("INSERT INTO give_ups VALUES (?, 'now')", (f"{name}{n}",))
"""


def test_processes_may_write_at_once(path: Path, opened: Opener) -> None:
    """Four processes create and fill one database; no row is lost."""
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert opened(path).read(COUNT) == [(80,)]
    assert broken_files(path) == []


def test_a_database_is_created_once(tmp_path: Path) -> None:
    """No process fails, however many start at the same moment on a new machine."""
    together = Barrier(8)

    def save(number: int) -> None:
        for attempt in range(6):
            database = Database(tmp_path / str(attempt) / "state.sqlite")
            together.wait(30)
            database.write(INSERT, (f"q{number}", "now"))
            assert database.warnings == []
            database.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))


def test_one_that_cannot_be_created_stays_empty(
    path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a full disk at the first save, the next command does not find a damaged database."""
    with monkeypatch.context() as patch:
        full = "PRAGMA max_page_count = 2;" + database_module._SCHEMA
        patch.setattr(database_module, "_SCHEMA", full)
        with pytest.raises(StoreError, match="full"):
            opened(path).write(INSERT, ("q1", "now"))
    assert {p.name: p.stat().st_size for p in path.parent.iterdir()} == {
        "state.sqlite": 0,
        "state.sqlite.lock": 0,
    }
    again = opened(path)
    again.write(INSERT, ("q1", "now"))
    assert (again.read(COUNT), again.warnings) == ([(1,)], [])


def test_reading_goes_on_while_another_writes(
    database: Database, path: Path, opened: Opener
) -> None:
    """Readers do not wait for an open transaction, and do not see its rows early."""
    other = opened(path)

    def work(db: sqlite3.Connection) -> list[tuple[int]]:
        db.execute(INSERT, ("q2", "now"))
        return other.read(COUNT)

    assert database.transaction(work) == [(1,)]
    assert other.read(COUNT) == [(2,)]


def test_an_interruption_saves_nothing(database: Database) -> None:
    """Ctrl-C in the middle of a transaction rolls it back."""

    def work(db: sqlite3.Connection) -> None:
        db.execute(INSERT, ("q2", "now"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.transaction(work)
    assert database.read(COUNT) == [(1,)]
    database.write(INSERT, ("q3", "now"))
    assert database.read(COUNT) == [(2,)]


def test_a_full_disk_loses_nothing(database: Database, path: Path) -> None:
    """The message names the folder and ARCHPREP_HOME; what was saved before is still there."""
    database.write("PRAGMA max_page_count = 1", ())  # makes SQLite run out of space
    with pytest.raises(StoreError) as caught:
        database.write(INSERT, ("q2", "x" * 100_000))
    assert str(path.parent) in caught.value.message
    assert "full" in caught.value.message
    assert "ARCHPREP_HOME" in (caught.value.tip or "")
    assert database.read(COUNT) == [(1,)]


def test_a_locked_database_is_an_error(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opener
) -> None:
    """After waiting too long for another process, there is a message instead of a hang."""
    monkeypatch.setattr(database_module, "_BUSY_SECONDS", 0.01)
    other = opened(path)
    with pytest.raises(StoreError, match="locked"):
        database.transaction(lambda _: other.write(INSERT, ("q2", "now")))


def test_a_home_that_is_a_file_is_an_error(tmp_path: Path, opened: Opener) -> None:
    """Reading finds nothing and warns; saving raises."""
    (tmp_path / "home").write_text("I am a file")
    database = opened(tmp_path / "home" / "state.sqlite")
    assert database.read(COUNT) == []
    assert len(database.warnings) == 1
    with pytest.raises(StoreError, match="cannot save to"):
        database.write(INSERT, ("q1", "now"))


def test_a_read_only_home_can_be_read(user: OrdinaryUser, opened: Opener) -> None:
    """Where nothing can be saved, what was saved can still be read."""
    home = user.folder / "home"
    database = opened(home / "state.sqlite")
    database.write(INSERT, ("q1", "now"))
    database.close()
    home.chmod(0o500)
    user.become()
    again = opened(home / "state.sqlite")
    assert again.read(COUNT) == [(1,)]
    assert again.warnings == []
    with pytest.raises(StoreError, match="cannot save to"):
        again.write(INSERT, ("q2", "now"))


def test_an_unreadable_home_is_empty_with_a_warning(user: OrdinaryUser, opened: Opener) -> None:
    """Reading finds nothing and warns."""
    home = user.folder / "home"
    opened(home / "state.sqlite").write(INSERT, ("q1", "now"))
    home.chmod(0o000)
    user.become()
    database = opened(home / "state.sqlite")
    assert database.read(COUNT) == []
    assert database.read(COUNT) == []
    [warning] = database.warnings
    assert str(home) in warning


def test_a_home_that_cannot_be_created_is_an_error(user: OrdinaryUser, opened: Opener) -> None:
    """Saving fails with a message if the parent folder is read-only."""
    user.folder.chmod(0o500)
    user.become()
    with pytest.raises(StoreError, match="Permission denied"):
        opened(user.folder / "home" / "state.sqlite").write(INSERT, ("q1", "now"))
