"""The lock files in requirements/, parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.lock"))

_ENTRY = re.compile(
    r"^(?P<requirement>[a-z0-9].*?) \\\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Locked:
    """An entry of a lock file.

    :param requirement: name, extras, version and marker.
    :param hashes: of the files that may be installed.
    """

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The normalized name of the package."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The pinned version."""
        (pin,) = self.requirement.specifier
        assert pin.operator == "=="
        return pin.version

    @property
    def applies(self) -> bool:
        """Whether this interpreter gets the package."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def locked(lock: Path) -> list[Locked]:
    """The entries of a lock file."""
    return [
        Locked(
            Requirement(entry["requirement"]),
            tuple(re.findall(r"--hash=(\S+)", entry["hashes"])),
        )
        for entry in _ENTRY.finditer(lock.read_text(encoding="utf-8"))
    ]


def replace_hashes(text: str, hashes: dict[tuple[str, str], str]) -> str:
    """The text of a lock file with other hashes.

    :param hashes: the hash by name and version.
    """

    def replaced(entry: re.Match[str]) -> str:
        each = Locked(Requirement(entry["requirement"]), ())
        return f"{entry['requirement']} \\\n    --hash={hashes[each.name, each.version]}\n"

    return _ENTRY.sub(replaced, text)


def declared(path: Path) -> Iterator[Requirement]:
    """The packages that a ``.in`` file names."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "-")):
            yield Requirement(line)
