#!/usr/bin/env python3
"""Write the parts of the reference pages that repeat tables of the source code.

A page marks such a part, which is replaced whole; everything around it is written by hand::

    <!-- generated: refusals empty..bad-options -->
    ...
    <!-- end of generated -->

The first word names the table; what follows are its arguments. ``--check`` writes nothing and lists
the pages that are out of date.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha384
from pathlib import Path
from typing import Final, Generic, TypeVar

from limit_arithmetic import COSTS, SUMS, in_mib, total

from wampush.config.load import as_toml
from wampush.config.schema import schema
from wampush.config.setting import Setting, settings_of
from wampush.config.settings import FIELDS, LIST_FIELDS, SECTIONS, Settings
from wampush.edges.client_files import client_files
from wampush.node.monitoring.metrics import METRICS
from wampush.reasons import CloseReason, Refusal

ROOT: Final = Path(__file__).resolve().parents[1]

Member = TypeVar("Member", Refusal, CloseReason)

#: Makes a page's new text from its old one.
Page = Callable[[str], str]
#: Makes the lines of a table from the arguments in its marker.
Table = Callable[[str], Iterable[str]]

_START: Final = re.compile(r"<!-- generated: (?P<table>\S+)(?: (?P<arguments>.*\S))? -->")
_END: Final = "<!-- end of generated -->"


class GenerationError(Exception):
    """A page cannot be generated; the message says which marker is wrong."""


def fill(text: str, tables: Mapping[str, Table]) -> str:
    """Replace the marked parts of a page.

    :param tables: what may be between markers, by the first word of a marker.
    :raises GenerationError: a marker names no table, or has no end.
    """
    lines: list[str] = []
    open_marker = ""
    for line in text.splitlines():
        start = _START.fullmatch(line)
        if open_marker:
            if start is not None:
                raise GenerationError(f"{open_marker} has no {_END}")
            if line != _END:
                continue
            open_marker = ""
        lines.append(line)
        if start is not None:
            table = tables.get(start["table"])
            if table is None:
                raise GenerationError(f"{line} names no table; known: {', '.join(tables)}")
            open_marker = line
            lines += table(start["arguments"] or "")
    if open_marker:
        raise GenerationError(f"{open_marker} has no {_END}")
    return "".join(f"{line}\n" for line in lines)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [_row(header), f"|{'---|' * len(header)}", *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


class _Rows(Generic[Member]):
    """The rows of a reason table, in ranges that have to cover it.

    :param members: all rows, in their order.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._members: list[Member] = list(members)
        self._missing = {each.code for each in self._members}

    def range(self, arguments: str) -> list[Member]:
        """Return the rows from the first code to the last one, as in ``empty..bad-options``.

        :raises GenerationError: there is no such range, or another one has some of its rows.
        """
        first, _, last = arguments.partition("..")
        codes = [each.code for each in self._members]
        try:
            found = self._members[codes.index(first) : codes.index(last) + 1]
            for each in found:
                self._missing.remove(each.code)
        except (ValueError, KeyError) as error:
            raise GenerationError(
                f"{arguments} is not a range of codes that no other table has: {error}"
            ) from error
        return found

    def check_complete(self) -> None:
        """Check that all rows are on the page.

        :raises GenerationError: no range has one of them.
        """
        if self._missing:
            raise GenerationError(f"no range has {', '.join(sorted(self._missing))}")


def reasons(text: str) -> str:
    """Fill ``docs/reference/reasons.md``."""
    refusals, endings = _Rows(Refusal), _Rows(CloseReason)

    def refusal_table(arguments: str) -> list[str]:
        return markdown(
            ("Code", "Fault", "What happened, and what would be right"),
            (
                (f"`{each.code}`", each.fault.value, each.sentence)
                for each in refusals.range(arguments)
            ),
        )

    def ending_table(arguments: str) -> list[str]:
        return markdown(
            ("Code", "Fault", "HTTP", "Close", "Log", "What happened"),
            (
                (
                    f"`{each.code}`",
                    "-" if each.fault is None else each.fault.value,
                    str(each.value.http_status or "-"),
                    str(each.value.close_code or "-"),
                    "yes" if each.value.is_logged else "no",
                    each.sentence,
                )
                for each in endings.range(arguments)
            ),
        )

    filled = fill(text, {"refusals": refusal_table, "endings": ending_table})
    refusals.check_complete()
    endings.check_complete()
    return filled


def metrics(text: str) -> str:
    """Fill ``docs/reference/metrics.md``."""

    def table(_: str) -> list[str]:
        return markdown(
            ("Name", "Type", "Labels", "Meaning"),
            (
                (
                    f"`{each.name}`",
                    each.kind.value,
                    ", ".join(f"`{label}`" for label in each.labels) or "-",
                    each.documentation,
                )
                for each in METRICS
            ),
        )

    return fill(text, {"metrics": table})


def configuration(text: str) -> str:
    """Fill ``docs/reference/configuration.md``.

    :raises GenerationError: a table of the file is missing on the page.
    """
    missing = {"": settings_of(Settings)}
    missing |= {name: settings_of(table) for name, table in SECTIONS.items()}
    missing |= LIST_FIELDS

    def table(name: str) -> list[str]:
        prefix = f"{name}." if name else ""
        rows = (_setting(f"{prefix}{key}", each) for key, each in missing.pop(name).items())
        return markdown(("Key", "Default", "Unit", "Must be", "Reason"), rows)

    filled = fill(text, {"settings": table})
    if missing:
        raise GenerationError(f"no part has the settings of {', '.join(missing)}")
    return filled


def _setting(key: str, setting: Setting) -> list[str]:
    default = "required" if setting.is_required else f"`{as_toml(setting.default)}`"
    allowed = setting.check.allowed.replace("*", "\\*")
    return [f"`{key}`", default, setting.check.unit or "-", allowed, setting.reason]


def limits(text: str) -> str:
    """Fill ``docs/explanation/limits.md``."""
    settings = Settings()

    def sum_table(name: str) -> list[str]:
        terms = SUMS[name](settings)
        rows = [(each.what, each.formula, in_mib(each.size)) for each in terms]
        rows.append(("**in all**", "", f"**{in_mib(total(terms))}**"))
        return markdown(("Memory for", "Limit", "At most"), rows)

    def cost_table(_: str) -> list[str]:
        return markdown(("Kept", "Counts as so many bytes"), COSTS.items())

    return fill(text, {"sum": sum_table, "costs": cost_table})


_EXAMPLE_HEAD: Final = """\
#:schema ./wampush.schema.json
# All settings of wampush with their defaults. Keep only the lines that you change.
# Reasons and limits: configuration.md in the same folder.
"""
#: For each list of tables: what the example entry does, and its values that are not defaults.
_ENTRIES: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "topics": (
        "Of these topics a slow client gets only the newest event. The first match wins.",
        {"match": "prices/*", "slow_client": "latest"},
    ),
    "permissions": (
        "Users may subscribe to their own topics. The first match wins, else [clients].",
        {"match": "user.{user}.*", "actions": ("subscribe",), "to": ("authenticated",)},
    ),
    "redis_source": (
        "Messages on these channels of a Redis server are pushes to topics of the same name.",
        {"url": "redis://127.0.0.1:6379", "channels": ("live_*", "orders")},
    ),
    "routes": (
        "This path of the WebSocket port is served by a component instead of WAMP v1.",
        {"path": "/chat", "component": "wampush.examples.chat:Chat"},
    ),
}


def example(_: str) -> str:
    """Write every setting with its default, and an entry of each list of tables as a comment."""
    lines = [_EXAMPLE_HEAD]
    section = ""
    for key, each in FIELDS.items():
        table, _dot, name = key.rpartition(".")
        if table != section:
            section = table
            lines.append(f"\n[{section}]")
        lines.append(_assignment(name, each.default, each.check.unit))
    for table, (comment, values) in _ENTRIES.items():
        lines.append(f"\n# {comment}\n# [[{table}]]")
        for name, each in LIST_FIELDS[table].items():
            lines.append("# " + _assignment(name, values.get(name, each.default), each.check.unit))
    return "\n".join(lines) + "\n"


def _assignment(name: str, value: object, unit: str) -> str:
    return f"{name} = {as_toml(value)}" + (f"  # {unit}" if unit else "")


def javascript(text: str) -> str:
    """Fill ``docs/reference/javascript.md``."""

    def files(_: str) -> list[str]:
        return markdown(
            ("Address", "Bytes after gzip", "Digest"),
            (
                (
                    f"`{path}`",
                    f"{len(gzip.compress(file.content, 9)):,}",
                    f"`sha384-{b64encode(sha384(file.content).digest()).decode()}`",
                )
                for path, file in client_files(ROOT / "static").items()
                if not path.endswith(".map")
            ),
        )

    return fill(text, {"client-files": files})


def json_schema(_: str) -> str:
    """Write the JSON Schema of the configuration file."""
    return json.dumps(schema(), indent=2) + "\n"


#: The pages, relative to the checkout.
PAGES: Final[Mapping[str, Page]] = {
    "docs/explanation/limits.md": limits,
    "docs/reference/configuration.md": configuration,
    "docs/reference/javascript.md": javascript,
    "docs/reference/wampush.example.toml": example,
    "docs/reference/wampush.schema.json": json_schema,
    "docs/reference/metrics.md": metrics,
    "docs/reference/reasons.md": reasons,
}


def main() -> int:
    """Write the pages that are out of date; with ``--check``, exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    outdated = False
    for name, page in PAGES.items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = page(old)
        if new != old:
            outdated = True
            print(f"{name} is out of date" if check else f"{name} is written anew")
            if not check:
                path.write_text(new, encoding="utf-8")
    return int(check and outdated)


if __name__ == "__main__":
    sys.exit(main())
