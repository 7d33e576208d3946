"""What a zip may do to the machine that unpacks it: write the plain files that it says, no more."""

from __future__ import annotations

import errno
import io
import os
import random
import stat
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest

from archprep.core.errors import UsageError
from archprep.interview import archive
from archprep.interview.archive import RefusedError, unpack
from archprep.workspace import submission


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where it is unpacked; it does not exist yet."""
    return tmp_path / "deep" / "into"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "alice.zip"


def written(into: Path) -> dict[str, bytes]:
    return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}


def entry(name: str, kind: int = 0, **changes: object) -> zipfile.ZipInfo:
    """An entry, with the mode bits of `kind`."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16 if kind else 0
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def zipped(path: Path, *entries: str | zipfile.ZipInfo | tuple[zipfile.ZipInfo | str, bytes]):
    """A zip of these; each may come with its contents."""
    with zipfile.ZipFile(path, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that come twice
        for one in entries:
            info, data = one if isinstance(one, tuple) else (one, b"x = 1\n")
            made.writestr(info, data)
    return path


def refusal(path: Path, into: Path) -> str:
    """What the user reads. It names the file, and nothing is left of it."""
    with pytest.raises(RefusedError) as caught:
        unpack(path, into)
    assert not into.exists()
    assert caught.value.tip
    assert caught.value.message.startswith(path.name)
    assert caught.value.message.isprintable()
    return caught.value.message


def test_plain_files_are_written_and_only_we_can_read_them(target, into) -> None:
    """Files 0600 and folders 0700, whatever modes the archive names."""
    zipped(target, "kit/", entry("kit/a.py", stat.S_IFREG), ("kit/pkg/deep/b.py", b"\0\xff"))
    unpack(target, into)
    assert written(into) == {"kit/a.py": b"x = 1\n", "kit/pkg/deep/b.py": b"\0\xff"}
    modes = {stat.S_IMODE(p.stat().st_mode) for p in into.rglob("*") if p.is_file()}
    folders = {stat.S_IMODE(p.stat().st_mode) for p in (into, *into.rglob("*")) if p.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_only_what_is_wanted_is_written(target, into) -> None:
    """A nested zip, for one, is never looked into."""
    inner = zipped(target.with_name("inner.zip"), "../evil.py").read_bytes()
    zipped(target, "a.py", ("nested.zip", inner), "data.bin")
    unpack(target, into, lambda name: name.endswith(".py"))
    assert list(written(into)) == ["a.py"]


def test_a_nested_zip_is_a_file_like_any_other(target, into) -> None:
    inner = zipped(target.with_name("inner.zip"), "../evil.py").read_bytes()
    zipped(target, ("nested.zip", inner))
    unpack(target, into)
    assert written(into) == {"nested.zip": inner}


def test_what_tools_leave_is_passed_over(target, into) -> None:
    """Hidden files, environments and macOS' own; even links among them. Our markers are kept."""
    apart = [".git/x.py", ".venv/a.py", "kit/.DS_Store", "__MACOSX/._a.py", "k/__pycache__/a.pyc"]
    link = entry("kit/.venv/bin/python", stat.S_IFLNK)
    zipped(target, *apart, link, "kit/venv/a.py", "kit/.archprep.json", "kit/a.py")
    unpack(target, into)
    assert sorted(written(into)) == ["kit/.archprep.json", "kit/a.py"]


def test_names_as_some_tools_write_them(target, into) -> None:
    """`tar -a -cf x.zip .` begins every name with ./"""
    zipped(target, "./", "./a.py", "./pkg/", "./pkg/b.py")
    unpack(target, into)
    assert sorted(written(into)) == ["a.py", "pkg/b.py"]


def test_an_ordinary_zip_of_the_system(tmp_path, into) -> None:
    """Python's own command, as a candidate may use it."""
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "a.py").write_bytes(b"x = 1\n" * 1000)
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "x.zip", "kit"], cwd=tmp_path, check=True
    )
    unpack(tmp_path / "x.zip", into)
    assert written(into) == {"kit/a.py": b"x = 1\n" * 1000}


def test_sizes_that_follow_the_data(target, into) -> None:
    """A zip that was written into a pipe names sizes only after each file."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.py", b"x = 1\n" * 1000)
        made.writestr("b.py", b"")
    target.write_bytes(pipe.data)
    unpack(target, into)
    assert written(into) == {"a.py": b"x = 1\n" * 1000, "b.py": b""}


# ------------------------------------------------------------------ case 55: names


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../x.py", "leads out of its folder"),
        ("kit/../../x.py", "leads out of its folder"),
        ("kit/..", "leads out of its folder"),
        (".git/../../x.py", "leads out of its folder"),
        ("/abs.py", "is an absolute path"),
        (".//abs.py", "is an absolute path"),
        ("//server/share.py", "is an absolute path"),
        ("C:\\x.py", "has a backslash"),
        ("C:/x.py", "names a drive"),
        ("c:x.py", "names a drive"),
        ("a\\..\\b.py", "has a backslash"),
        ("\\\\server\\x.py", "has a backslash"),
        ("a\0.py", "has unusual characters"),
        ("a.py\0.txt", "has unusual characters"),
        ("a\n.py", "has unusual characters"),
        ("na\x1b[31mme.py", "has unusual characters"),
        ("a\u202eyp.py", "has unusual characters"),
        ("a\u200b.py", "has unusual characters"),
        ("kit//x.py", "does not name its place plainly"),
        ("kit/./x.py", "does not name its place plainly"),
        ("././x.py", "does not name its place plainly"),
        ("x" * 300 + ".py", "has a path of over 255 bytes"),
        ("d/" * 20 + "x.py", "lies deeper than 12 folders"),
    ],
)
def test_names_that_lead_elsewhere_or_deceive(target, into, name, says) -> None:
    """None of them is repaired, as extractall does: the archive is refused."""
    stand_in = "Q" * len(name.encode())  # zipfile itself would cut the name at a NUL
    zipped(target, "good.py", stand_in)
    data = target.read_bytes().replace(stand_in.encode(), name.encode())
    if not name.isascii():
        data = _flagged(data, 0x800)  # UTF-8
    target.write_bytes(data)
    assert says in refusal(target, into)


def _flagged(data: bytes, bits: int) -> bytes:
    """The archive with these flags in every entry."""
    found = bytearray(data)
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(mark)
        while place >= 0:
            (flags,) = struct.unpack_from("<H", found, place + at)
            struct.pack_into("<H", found, place + at, flags | bits)
            place = data.find(mark, place + 4)
    return bytes(found)


def test_an_option_as_a_name_is_just_a_name(target, into) -> None:
    """Nothing ever passes names to a shell or a command."""
    zipped(target, "-rf", "$(touch x).py")
    unpack(target, into)
    assert sorted(written(into)) == ["$(touch x).py", "-rf"]


# ------------------------------------------------------------------ case 56: links


@pytest.mark.parametrize(
    "entries",
    [
        [(entry("passwd", stat.S_IFLNK), b"/etc/passwd")],
        [(entry("answer.py", stat.S_IFLNK), b"/etc/passwd")],
        [(entry("pkg", stat.S_IFLNK), b"/tmp"), "pkg/evil.py"],
        [(entry("pkg/", stat.S_IFLNK), b"/tmp"), "pkg/evil.py"],
        [(entry("answer.py", stat.S_IFLNK, create_system=0), b"/etc/passwd")],
    ],
    ids=["file", "code", "folder", "folder-with-slash", "said-to-be-from-dos"],
)
def test_links_are_refused(target, into, entries) -> None:
    assert "is a link" in refusal(zipped(target, *entries), into)
    assert not Path("/tmp/evil.py").exists()


@pytest.mark.parametrize(
    "kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_special_files_are_refused(target, into, kind) -> None:
    path = zipped(target, entry("a.py", kind))
    assert "a.py is not a regular file" in refusal(path, into)


def test_a_link_in_place_of_the_archive(tmp_path, into) -> None:
    zipped(tmp_path / "real.zip", "a.py")
    (tmp_path / "link.zip").symlink_to("real.zip")
    assert refusal(tmp_path / "link.zip", into) == "link.zip is a link."


def test_a_pipe_in_place_of_the_archive_is_not_waited_for(tmp_path, into) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    assert refusal(tmp_path / "pipe.zip", into) == "pipe.zip is not a regular file."


def test_no_link_on_this_side_is_followed(target, into, tmp_path) -> None:
    """Nor written through, should somebody put one into the folder meanwhile."""
    into.parent.mkdir()
    into.symlink_to(tmp_path)
    zipped(target, "a.py")
    with pytest.raises(UsageError, match="cannot be written"):
        unpack(target, into)
    assert not (tmp_path / "a.py").exists()


@pytest.mark.parametrize("extension", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tar_is_told_what_is_taken(tmp_path, into, extension) -> None:
    path = tmp_path / f"alice.{extension}"
    with tarfile.open(path, f"w:{extension.partition('.')[2]}") as tar:
        link = tarfile.TarInfo("answer.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "is no zip archive: it looks like tar" in refusal(path, into)


# ------------------------------------------------------------------ case 57: bombs and damage


PEAK = """
import sys, time
from pathlib import Path

def peak():
    # Not ru_maxrss on Linux: a process begins with that of the one which started it.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

"""
UNPACKED = """
from archprep.interview.archive import RefusedError, unpack
begun, before = time.perf_counter(), peak()
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
    said = "unpacked"
except RefusedError as error:
    said = error.message
print(time.perf_counter() - begun, peak() - before, said, sep="|")
"""


def measured(*args: Path, program: str = UNPACKED) -> tuple[float, float, str]:
    """Seconds, MiB above the import, and what is said, of a process that unpacks."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program, *map(str, args)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    took, grown, said = done.stdout.strip().split("|")
    return float(took), float(grown), said


def many(count: int, name: str = "{:x}") -> bytes:
    """A zip of so many empty files, made quickly."""
    local, central = bytearray(), bytearray()
    for number in range(count):
        text = name.format(number).encode()
        fields = struct.pack("<5H3L2H", 20, 0, 0, 0, 33, 0, 0, 0, len(text), 0)
        at = len(local)
        local += b"PK\3\4" + fields + text
        tail = struct.pack("<3H2L", 0, 0, 0, 0, at)
        central += b"PK\1\2" + struct.pack("<H", 20) + fields + tail + text
    shown = min(count, 0xFFFE)
    end = struct.pack("<4H2LH", 0, 0, shown, shown, len(central), len(local), 0)
    return bytes(local + central + b"PK\5\6" + end)


def bomb(path: Path, megabytes: int = 50) -> Path:
    """One file of zeros: a thousandth of its size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made, made.open("a.py", "w") as file:
        for _ in range(megabytes):
            file.write(bytes(2**20))
    return path


@pytest.mark.parametrize(
    ("count", "says"),
    [(100_000, "lists too many files"), (60_000, "lists more than 20,000 files")],
)
def test_a_hundred_thousand_entries_cost_nothing(target, into, count, says) -> None:
    """Refused before they are listed, in a fraction of a second and a few MiB."""
    target.write_bytes(many(count))
    took, grown, said = measured(target, into)
    assert says in said
    assert took < 1
    assert grown < 16
    assert not into.exists()


def test_as_many_entries_as_are_allowed_are_read_in_time(target, into) -> None:
    target.write_bytes(many(archive.MAX_ENTRIES))
    took, grown, said = measured(target, into)
    assert "comes after 5,000 files and folders" in said
    assert took < 1
    assert grown < 64


def test_a_lie_about_the_number_of_entries_changes_nothing(target, into) -> None:
    data = bytearray(many(60_000))
    struct.pack_into("<2H", data, len(data) - 14, 3, 3)
    target.write_bytes(data)
    assert "lists more than 20,000 files" in refusal(target, into)


def test_a_bomb_is_counted_not_believed(target, into) -> None:
    """Its true size is declared: refused before a byte is unpacked."""
    took, grown, said = measured(bomb(target), into)
    assert "holds more than 32 MiB once unpacked" in said
    assert took < 1
    assert grown < 8


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (20 * 2**20, "unpacks to more than 100 times its size"),
        (2**16 + 1, "is larger than the archive says"),
    ],
)
def test_a_bomb_that_lies(target, into, declared, says) -> None:
    """What counts is what comes out; it stops soon after the limit."""
    _declare(bomb(target), declared)
    took, grown, said = measured(target, into)
    assert says in said
    assert took < 1
    assert grown < 8
    assert not into.exists()


def _declare(path: Path, size: int, crc: int | None = None) -> None:
    """Change the size that the table of contents names, for its last entry."""
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, place + 24, size)
    if crc is not None:
        struct.pack_into("<L", data, place + 16, crc)
    path.write_bytes(data)


def test_a_shorter_size_does_not_hide_the_rest(target, into) -> None:
    """Even with the right checksum of the beginning: zipfile would give just that."""
    text = b"x = 1\n" * 20_000
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), text))
    _declare(target, 6, zlib.crc32(text[:6]))
    assert "a.py is larger than the archive says" in refusal(target, into)


def test_a_short_lie_is_found_as_well(target, into) -> None:
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), b"x = 1\ny = 2\n"))
    _declare(target, 6, zlib.crc32(b"x = 1\n"))
    assert "alice.zip is damaged" in refusal(target, into)


def test_a_longer_size_is_a_lie_too(target, into) -> None:
    _declare(zipped(target, "a.py"), 1000)
    assert "a.py is shorter than the archive says" in refusal(target, into)


def test_many_files_that_are_too_much_together(target, into) -> None:
    """None of them is remarkable by itself."""
    noise = random.Random(1).randbytes(2**20)
    zipped(target, *((f"{number}.py", noise) for number in range(40)))
    assert "holds more than 32 MiB once unpacked" in refusal(target, into)


def test_a_tightly_packed_small_file_is_no_bomb(target, into) -> None:
    text = b"# \n" * 2**16
    zipped(target, (entry("a.py", compress_type=zipfile.ZIP_DEFLATED), text))
    unpack(target, into)
    assert written(into) == {"a.py": text}


def test_entries_that_share_their_data(target, into) -> None:
    """CVE-2024-0450: zipfile looks since 3.11.8 and 3.12.2 only; we do anyway."""
    zipped(target, ("a.py", b"#" * 1000), ("b.py", b"#" * 1000))
    data = bytearray(target.read_bytes())
    at = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, at + 42, 0)  # b begins where a does
    target.write_bytes(data)
    assert "overlaps another entry" in refusal(target, into)


def test_headers_hidden_in_the_extras_of_another(target, into) -> None:
    """The other way to share data: a's extra field reaches over b's header."""
    zipped(target, ("a.py", b""), ("b.py", b"#" * 1000))
    data = bytearray(target.read_bytes())
    struct.pack_into("<H", data, 28, 34)  # a's extras: b's header
    struct.pack_into("<2L", data, data.find(b"PK\1\2") + 20, 1000, 1000)
    target.write_bytes(data)
    assert "overlaps another entry" in refusal(target, into)


def test_a_quoted_bomb_is_refused_quickly(target, into) -> None:
    """Thousands of entries, one kernel of zeros."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(2**20)) + kernel.flush()
    fields = struct.pack(
        "<5H3L2H", 20, 0, 8, 0, 33, zlib.crc32(bytes(2**20)), len(packed), 2**20, 4, 0
    )
    local = b"PK\3\4" + fields + b"a.py" + packed
    tail = struct.pack("<3H2L", 0, 0, 0, 0, 0)
    names = [f"{n:04}".encode() for n in range(5000)]
    central = b"".join(b"PK\1\2" + struct.pack("<H", 20) + fields + tail + n for n in names)
    end = struct.pack("<4H2LH", 0, 0, 5000, 5000, len(central), len(local), 0)
    target.write_bytes(local + central + b"PK\5\6" + end)
    took, grown, said = measured(target, into)
    assert "overlaps another entry" in said
    assert took < 1
    assert grown < 24


def test_encrypted_entries(target, into) -> None:
    target.write_bytes(_flagged(zipped(target, "a.py").read_bytes(), 0x1))
    assert "a.py is encrypted" in refusal(target, into)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93, 99])
def test_other_methods(target, into, method) -> None:
    """Deflate is what every tool makes unasked; the others expand further, or are unknown."""
    data = bytearray(zipped(target, "a.py").read_bytes())
    struct.pack_into("<H", data, data.find(b"PK\1\2") + 10, method)
    target.write_bytes(data)
    assert "method other than deflate" in refusal(target, into)


@pytest.mark.parametrize("keep", [0, 3, 4, 22, 40, 100, -1, -10, -22])
def test_truncated(target, into, keep) -> None:
    """Wherever it was cut; an empty file is none at all."""
    data = zipped(target, "a.py", "b.py").read_bytes()
    target.write_bytes(data[:keep])
    said = refusal(target, into)
    assert said in {
        "alice.zip is damaged: it is cut short, or not as a zip archive must be.",
        "alice.zip is no zip archive.",
    }
    assert ("damaged" in said) == data[:keep].startswith(b"PK")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"just text", "is no zip archive."),
        (b"\x89PNG\r\n" * 1000, "is no zip archive."),
        (b"7z\xbc\xaf\x27\x1c" + b"x" * 100, "looks like 7z or rar"),
        (b"Rar!\x1a\x07" + b"x" * 100, "looks like 7z or rar"),
    ],
)
def test_not_a_zip_at_all(target, into, data, says) -> None:
    target.write_bytes(data)
    assert says in refusal(target, into)


def test_a_huge_archive_is_not_read(target, into) -> None:
    with target.open("wb") as file:
        file.truncate(2**40)  # sparse
    assert "is larger than 64 MiB" in refusal(target, into)


def test_a_wrong_checksum(target, into) -> None:
    data = zipped(target, ("a.py", b"x = 1\n")).read_bytes()
    target.write_bytes(data.replace(b"x = 1\n", b"x = 2\n", 1))
    assert "is damaged" in refusal(target, into)


def test_another_name_before_the_data(target, into) -> None:
    """Tools that read from the front would unpack another file than the table of contents says."""
    data = zipped(target, "a.py").read_bytes()
    target.write_bytes(data.replace(b"a.py", b"b.py", 1))
    assert "is damaged" in refusal(target, into)


def test_any_damage_is_a_sentence(tmp_path, into) -> None:
    """Random bytes anywhere: refused or unpacked, never another exception."""
    rng = random.Random(7)
    deflated = entry("kit/b.py", compress_type=zipfile.ZIP_DEFLATED)
    sound = zipped(tmp_path / "x.zip", "kit/a.py", (deflated, b"y = 2\n" * 50)).read_bytes()
    seen = set()
    for number in range(400):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] = rng.choice((0, 255, rng.randrange(256)))
        path = tmp_path / "damaged.zip"
        path.write_bytes(data)
        try:
            unpack(path, into / str(number))
        except RefusedError as error:
            seen.add(error.message)
    assert len(seen) > 5


# ------------------------------------------------------------------ case 58: names alike


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.py", "a.py"], "a.py comes twice"),
        (["Solution.py", "solution.py"], "differs from Solution.py only in case or accents"),
        (["caf\u00e9.py", "cafe\u0301.py"], "only in case or accents"),
        (["stra\u00dfe.py", "STRASSE.py"], "only in case or accents"),
        (["Pkg/a.py", "pkg/b.py"], "only in case or accents"),
        (["a.py", "a.py/b.py"], "is both a file and a folder"),
        (["a.py/b.py", "a.py"], "is both a file and a folder"),
        (["a.py/", "a.py"], "is both a file and a folder"),
        (["A.py/", "a.py"], "only in case or accents"),
        (["./a.py", "a.py"], "a.py comes twice"),
    ],
)
def test_names_that_one_file_could_have(target, into, names, says) -> None:
    """Never the last, or the first, in silence."""
    assert says in refusal(zipped(target, *names), into)


# ------------------------------------------------------------------ this machine's faults


def test_a_folder_that_is_not_empty_is_left_alone(target, into) -> None:
    into.mkdir(parents=True)
    (into / "theirs.txt").write_text("kept")
    zipped(target, "a.py")
    with pytest.raises(UsageError, match="is not empty"):
        unpack(target, into)
    assert written(into) == {"theirs.txt": b"kept"}


def test_a_full_disk_is_not_the_archives_fault(target, into, monkeypatch) -> None:
    """A plain UsageError: nobody is marked down for it, and nothing is left."""
    zipped(target, "a.py", "b.py")
    real = os.open

    def opened(path, flags, *args, **kwargs):
        if path == "b.py":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(UsageError, match="No space left") as caught:
        unpack(target, into)
    assert not isinstance(caught.value, RefusedError)
    assert not into.exists()


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_no_descriptor_is_left_open(target, into, tmp_path) -> None:
    zipped(target, "a/b/c.py")
    zipped(tmp_path / "bad.zip", "a/b/c.py", "a/b/c.py")
    before = descriptors()
    for number in range(3):
        unpack(target, into / str(number))
        with pytest.raises(RefusedError):
            unpack(tmp_path / "bad.zip", into / "bad")
    assert descriptors() == before


def test_the_limits_are_wider_than_those_of_freezing() -> None:
    """What one exercise may hold never fails here first."""
    assert archive.MAX_WRITTEN >= submission.MAX_FILES
    assert archive.MAX_TOTAL_BYTES >= 2 * submission.MAX_TOTAL_BYTES
    assert archive.MAX_DEPTH > submission.MAX_DEPTH
