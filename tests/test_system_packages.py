"""What is asked of Debian's package manager, with a stand-in for it. Nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
#: The programs that the scripts find beside those of Debian's package manager.
USED = ("bash", "dirname", "env")


class Debian:
    """A folder with all programs of a machine whose user is not root.

    :param folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in USED:
            found = shutil.which(name)
            assert found, name
            (folder / name).symlink_to(found)
        self._put("id", "echo 1000")

    def has(self, *packages: str) -> None:
        """List these packages; none at all before the first ``apt-get update``."""
        self._put("apt-get", "exit 1")
        known = "|".join(packages) or "nothing"
        self._put("apt-cache", f'case $2 in {known}) echo "$2 | 1.0 | main Packages" ;; esac')

    def run(self, script: str, *arguments: str) -> tuple[int, list[str]]:
        """Run a script; return its status and the lines it wrote for people."""
        done = subprocess.run(
            [SCRIPTS / script, *arguments],
            env={"PATH": str(self._folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()

    def _put(self, name: str, script: str) -> None:
        path = self._folder / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


def command(*packages: str) -> list[str]:
    """What the script prints for those who have to install these packages."""
    names = " ".join(packages)
    return [
        f"Missing: {names}",
        "Install it as root, then run the same command again:",
        f"    apt-get update && apt-get install --yes --no-install-recommends {names}",
    ]


WITHOUT = "This version of Debian has no package php-zmq; going on without it."


def test_a_debian_that_has_the_package(debian: Debian) -> None:
    debian.has("apt", "php-zmq")
    assert debian.run("is_packaged.sh", "php-zmq") == (0, [])
    install = ("apt_install.sh", "gcc", "--optional", "php-zmq")
    assert debian.run(*install) == (1, command("gcc", "php-zmq"))


def test_a_debian_that_does_not_have_it(debian: Debian) -> None:
    debian.has("apt", "php-cli")
    assert debian.run("is_packaged.sh", "php-zmq")[0] == 1
    install = ("apt_install.sh", "gcc", "--optional", "php-zmq")
    assert debian.run(*install) == (1, [WITHOUT, *command("gcc")])


def test_nothing_is_missing_but_what_there_is_not(debian: Debian) -> None:
    debian.has("apt")
    assert debian.run("apt_install.sh", "--optional", "php-zmq") == (0, [WITHOUT])


def test_a_debian_that_was_never_updated_may_have_it(debian: Debian) -> None:
    debian.has()
    assert debian.run("is_packaged.sh", "php-zmq") == (0, [])
    assert debian.run("apt_install.sh", "--optional", "php-zmq") == (1, command("php-zmq"))


def test_another_system_may_have_it(debian: Debian) -> None:
    assert debian.run("is_packaged.sh", "php-zmq") == (0, [])
    assert debian.run("apt_install.sh", "--optional", "php-zmq") == (1, command("php-zmq"))
