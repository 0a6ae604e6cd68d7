"""The upgrade notes name every key that has moved, and quote what the server says about one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.guides import blocks_in
from wampush.config.keys import MOVED, dotted
from wampush.config.load import load
from wampush.errors import OperatorError

ROOT = Path(__file__).parents[2]
NAME = "docs/howto/upgrade.md"
TEXT = (ROOT / NAME).read_text(encoding="utf-8")


def rows() -> list[tuple[str, str]]:
    """The first two cells of each row of the table of changes."""
    changes = TEXT.partition("## What changed for configurations")[2]
    return re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", changes, re.MULTILINE)


@pytest.mark.parametrize(("path", "key"), MOVED.items(), ids=str)
def test_every_key_that_has_moved_is_on_the_page(path: tuple[str, ...], key: str) -> None:
    def written(table: str, name: str) -> str:
        return f"`[{table}] {name}`"

    assert any(
        written(*dotted(path).split(".")) in before and written(*key.split(".")) in after
        for before, after in rows()
    )


def test_the_message_about_an_old_key(tmp_path: Path) -> None:
    (shown,) = (block for block in blocks_in(NAME, "text") if "no setting" in block)
    path = tmp_path / "wampush.toml"
    path.write_text('[zmq]\ntopic_key = "channel"\n', encoding="utf-8")
    with pytest.raises(OperatorError) as raised:
        load(path, {}, {})
    assert str(raised.value) == shown.strip().replace("/etc/wampush.toml", str(path))
