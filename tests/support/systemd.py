"""A real systemd as process 1 of namespaces of its own, with the units of a test.

It needs root, a cgroup2 file system, and namespaces, which many containers do not permit.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.support.waiting import eventually
from wampush.testing.process import Process

ROOT: Final = Path(__file__).resolve().parents[2]
_SYSTEMD: Final = Path("/lib/systemd/systemd")
_UNSHARE: Final = (
    *("unshare", "--cgroup", "--mount", "--pid", "--fork", "--kill-child"),
    *("--uts", "--ipc", "--net"),
)

#: What a process does in its new namespaces before it becomes systemd: nothing that systemd writes
#: is left. Its arguments are the folder with units, and folders that have to be seen, also in /tmp.
_SCRIPT: Final = f"""
set -eu
mount --make-rprivate /
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /etc /etc
mount -o remount,bind,ro /etc
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system
cp "$1"/* /run/systemd/system
shift
mkdir -p /run/outside/tmp
mount --rbind /tmp /run/outside/tmp
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
for folder in "$@"; do
    case $folder in
    /tmp/*)
        mkdir -p "$folder"
        mount --rbind "/run/outside$folder" "$folder"
        ;;
    esac
done
export container=lxc
exec {_SYSTEMD} --system --unit=idle.target --log-target=console --show-status=false
"""
_IDLE: Final = "[Unit]\nDescription=Nothing to do\nDefaultDependencies=no\n"


def _cgroups() -> Path | None:
    """Where the cgroup2 file system is."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def why_not() -> str:
    """Why no systemd can run here; "" if one can."""
    cgroups = _cgroups()
    if os.geteuid() != 0:
        return "a systemd in namespaces of its own needs root"
    if not _SYSTEMD.exists() or shutil.which("nsenter") is None:
        return "systemd or nsenter is missing"
    if cgroups is None or not os.access(cgroups, os.W_OK) or not _is_writable(cgroups):
        return "there is no cgroup2 file system that can be written"
    probe = [*_UNSHARE, "sh", "-c", "mount --make-rprivate / && mount -t proc proc /proc"]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    return f"no namespaces are permitted: {done.stderr.strip()}" if done.returncode else ""


def _is_writable(cgroups: Path) -> bool:
    probe = cgroups / f"wampush-test-{uuid4()}"
    try:
        probe.mkdir()
    except OSError:
        return False
    probe.rmdir()
    return True


class Systemd:
    """A running systemd.

    :param process: that has become it.
    """

    def __init__(self, process: Process) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # The child of unshare is process 1 of the namespaces.
        self.pid = int(eventually(children.read_text, lambda text: bool(text.strip())))
        state = ["systemctl", "is-active", "idle.target"]
        eventually(lambda: self._run(*state).stdout, lambda said: said == "active\n")

    def systemctl(self, *arguments: str) -> str:
        """Run a command of systemctl that must succeed; return what it printed."""
        done = self._run("systemctl", *arguments)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def property(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def log(self, name: str) -> str:
        """A file of /run inside."""
        return Path(f"/proc/{self.pid}/root/run", name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a unit, or a drop-in for one."""
        path = Path(f"/proc/{self.pid}/root/run/systemd/system") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_python(self, code: str) -> str:
        """Run Python in the namespaces; return what it printed."""
        done = self._run(sys.executable, "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self.pid), "--all", *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def running_systemd(
    folder: Path, files: Mapping[str, str], needed: Iterable[str]
) -> Iterator[Systemd]:
    """Run a systemd for the length of the block.

    :param folder: is made, for its units.
    :param files: units, and other files for /run/systemd/system, by name.
    :param needed: folders that its services need, if they are in /tmp.
    """
    folder.mkdir()
    for name, text in {"idle.target": _IDLE, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    cgroups = _cgroups()
    assert cgroups is not None
    own = cgroups / f"wampush-test-{uuid4()}"
    own.mkdir()
    enter = f'echo $$ > {own}/cgroup.procs; exec "$@"'
    inside = ["sh", "-c", _SCRIPT, "sh", str(folder), *needed]
    process = Process(["sh", "-c", enter, "sh", *_UNSHARE, *inside], cwd=folder)
    try:
        yield Systemd(process)
    finally:
        process.kill()
        eventually((own / "cgroup.events").read_text, lambda text: "populated 0" in text)
        for each, _, _ in os.walk(own, topdown=False):
            Path(each).rmdir()
