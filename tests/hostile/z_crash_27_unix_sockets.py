# case 27: no socket of the judge's machine is reachable, by path or by name
# outcome: task 1 = candidate_error crash
# printed: tried many sockets, reached nothing
import os
import socket
import stat

from honest import fetch

USUAL = "/run/docker.sock /var/run/docker.sock /run/dbus/system_bus_socket /run/systemd/private"
USUAL += " /tmp/.X11-unix/X0 /run/systemd/journal/socket /dev/log /run/containerd/containerd.sock"
NAMED = ["@ABSTRACT@", "/tmp/.X11-unix/X0", "@/tmp/dbus", "/containerd-shim", "nobody"]


def weigh(numbers):
    targets = ["@SOCKET@", *USUAL.split(), *("\0" + name for name in NAMED)]
    for folder in ("/run", "/var", "/tmp", "/dev", "/etc", "/home", "/submission"):
        names = [os.path.join(f, n) for f, _, names in os.walk(folder) for n in names]
        targets += [name for name in names if stat.S_ISSOCK(os.lstat(name).st_mode)]
    with open("/proc/net/unix") as file:
        targets += [line.split()[-1].replace("@", "\0", 1) for line in list(file)[1:]]
    reached = []
    for target in targets:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            with socket.socket(socket.AF_UNIX, kind) as s:
                s.settimeout(0.1)
                try:
                    s.connect(target)
                    reached.append(repr(target))
                except OSError:
                    continue
    print(
        "tried",
        "many" if len(targets) > 12 else len(targets),
        "sockets, reached",
        *reached or ["nothing"],
    )
    raise AttributeError("no need to go on")
