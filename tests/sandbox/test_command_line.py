"""What the command lines of the fork server and of services show and hide."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archprep.sandbox import command_line, isolation, processes
from archprep.sandbox.isolation import Profile

A = Profile("A", "/usr/bin/bwrap", "capability", 65534, "/usr/bin/bwrap")
A_ROOT = Profile("A-root", "/usr/bin/bwrap", "new-user", 61007, "/usr/bin/bwrap")


def fork_server(profile: Profile, secret: tuple[Path, ...] = ()) -> list[str]:
    return command_line.fork_server(profile, Path("/nowhere/submission"), secret, 7)


def service(profile: Profile) -> list[str]:
    return command_line.service(profile, Path("/bin/true"), Path("/nowhere/server"), 7)


def contains(args: list[str], *wanted: str) -> bool:
    """Whether `args` contains `wanted` in a row."""
    width = len(wanted)
    return any(tuple(args[n : n + width]) == wanted for n in range(len(args)))


# -- the fork server --------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [A, A_ROOT], ids=["A", "A-root"])
def test_every_contained_profile_isolates(profile):
    """No network, no shared processes, no environment; only an empty /tmp is writable."""
    args = fork_server(profile)
    for flag in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--clearenv", "--new-session"):
        assert flag in args
    assert "--die-with-parent" in args
    assert contains(args, "--remount-ro", "/")
    assert "--bind" not in args
    assert not {"/", "/run", "/home", "/etc", "/var", "/sys"} & set(
        args[args.index("--proc") :]
    ) - {"/"}
    assert not any(
        contains(args, "--ro-bind", path, path) for path in ("/", "/run", "/tmp", "/etc")
    )


def test_level_a_keeps_one_capability_in_its_own_user_namespace():
    """And bubblewrap's own process, which would be the same user, does not stay inside."""
    args = fork_server(A)
    assert {"--unshare-user", "--disable-userns", "--as-pid-1"} <= set(args)
    assert contains(args, "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN")


def test_level_a_root_drops_uid_0_before_python_starts():
    args = fork_server(A_ROOT)
    assert "--unshare-user" not in args
    inside = args[args.index("--") + 1 :]
    assert "hidepid=2" in inside[2]
    assert inside.index("setpriv") < inside.index("-I")
    assert contains(inside, "--reuid", "61007", "--regid", "61007", "--clear-groups")
    assert {"--bounding-set=-all", "--no-new-privs", "--inh-caps=-all"} <= set(inside)


def test_a_secret_folder_in_a_visible_one_is_hidden(monkeypatch, tmp_path):
    """The libraries are visible; an archprep installed among them is not.

    Libraries are mounted outside /tmp, so that an environment below /tmp is visible, too.
    """
    library = tmp_path / "site-packages"
    hidden = library / "archprep"
    elsewhere = tmp_path / "graders"
    for folder in (hidden, elsewhere):
        folder.mkdir(parents=True)
    monkeypatch.setattr(isolation, "library_paths", lambda: [str(library)])
    args = fork_server(A, (hidden, elsewhere, library / "missing"))
    hidden_inside = "/runtime/lib0/archprep"
    assert contains(args, "--ro-bind", str(library), "/runtime/lib0")
    assert contains(args, "--tmpfs", hidden_inside, "--remount-ro", hidden_inside)
    assert args.index(hidden_inside) > args.index(str(library))
    assert str(elsewhere) not in args
    assert str(library / "missing") not in args


def test_python_ignores_the_environment_and_the_submission():
    """-I and -S: PYTHONPATH, the user's site and .pth files have no effect in the sandbox."""
    for profile in (A, A_ROOT, isolation.plain()):
        args = fork_server(profile)
        assert contains(args, "-I", "-S", "-B", "-c")
        assert "main(7)" in args[-1]


def test_level_d_is_a_plain_process():
    assert "bwrap" not in " ".join(fork_server(isolation.plain()))


# -- services ---------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [A, A_ROOT], ids=["A", "A-root"])
def test_a_service_can_do_less_than_a_fork_server(profile):
    """No capability, no /proc, no shell, no system folder; the filter applies from the start."""
    args = service(profile)
    for flag in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--clearenv", "--new-session"):
        assert flag in args
    assert not {"--cap-add", "--proc", "--dev"} & set(args)
    shown = [args[n + 1] for n, arg in enumerate(args) if arg == "--ro-bind"]
    assert shown
    assert [path for path in shown if Path(path).is_dir() or path == "/bin/sh"] == []
    assert contains(args, "--seccomp", "7")
    assert contains(args, "--bind", "/nowhere/server", "/data")
    assert args.count("--bind") == 1
    assert contains(args, "--bind", "/nowhere/server", "/data", "--remount-ro", "/")
    limits = args[args.index("prlimit") :]
    assert {"--fsize=0", "--nproc=64"} <= set(limits)
    assert limits[-1] == "/service/true"


def test_a_service_has_no_capability_at_level_a():
    args = service(A)
    assert {"--unshare-user", "--disable-userns", "--as-pid-1"} <= set(args)
    assert contains(args, "--cap-drop", "ALL")


def test_a_service_has_another_user_than_scenarios_at_level_a_root():
    other = isolation.for_service(A_ROOT)
    assert contains(service(other), "--reuid", str(other.uid), "--regid", str(other.uid))


def test_a_service_at_level_d_is_a_plain_process():
    args = service(isolation.plain())
    assert args[-1] == "/bin/true"
    assert "bwrap" not in " ".join(args)


def test_a_service_finds_its_libraries_below_tmp(monkeypatch, tmp_path):
    """/tmp is mounted first, so that it does not hide them."""
    monkeypatch.setattr(command_line, "_libraries", lambda *_: (Path("/tmp/env/lib/libx.so"),))
    args = service(A_ROOT)
    assert contains(args, "--ro-bind", "/tmp/env/lib/libx.so", "/tmp/env/lib/libx.so")
    assert args.index("--tmpfs") < args.index("/tmp/env/lib/libx.so")
    assert contains(args, "--setenv", "LD_LIBRARY_PATH", "/tmp/env/lib")


@pytest.mark.skipif(not processes.is_linux(), reason="libraries are looked up with ldd")
def test_the_libraries_of_a_program_are_those_it_loads(tmp_path):
    found = command_line._libraries(Path(os.path.realpath("/bin/sh")))
    assert any(path.name.startswith("libc.") for path in found)
    assert any(path.name.startswith("ld-") for path in found)
    assert command_line._libraries(tmp_path / "none") == ()
