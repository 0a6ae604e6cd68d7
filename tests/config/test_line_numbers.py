"""Lines of keys: every way in which TOML writes tables, keys and values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.config.line_numbers import KeyPath, positions
from wampush.config.load import as_toml


def paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    """All keys and indexes within a document."""
    pairs: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        pairs = enumerate(value)
    for key, each in pairs:
        yield (*above, key)
        yield from paths(each, (*above, key))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("# a = 1\n\n  a = 1 # b\nb = 2", ("b",), 4),
        ("a = 1\r\n[t]\r\nb = 2", ("t", "b"), 3),
        ("[t]\na = 1\n[u]\na = 2", ("u", "a"), 4),
        ("[ t . 'u v' ]\na = 1", ("t", "u v", "a"), 2),
        ('"a\\u0062\\"" = 1', ('ab"',), 1),
        ("'a.b' = 1", ("a.b",), 1),
        ("a.b.c = 1\na.d = 2", ("a", "d"), 2),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t", 1, "a"), 4),
        ("[[t]]\n[t.u]\na = 1\n[[t]]\n[t.u]\na = 2", ("t", 1, "u", "a"), 6),
        ("[[t]]\n[[t.u]]\n[[t.u]]\na = 1", ("t", 0, "u", 1, "a"), 4),
        ("[[t]]\n[[t]]\n", ("t", 1), 2),
        ("t = [{a = 1},\n  {a = 2}]", ("t", 1, "a"), 2),
        ("t = {a = {b = 1}, c = 2}", ("t", "a", "b"), 1),
        ("t = [\n  1, # ]\n  '''\n]''',\n  2,\n]\na = 1", ("t", 2), 5),
        ("t = [\n]\nu = {}\na = 1", ("a",), 4),
        ('t = """\n[x]\na = 1\n\\"""\n"""\na = 1', ("a",), 6),
        ('t = """a"""""\na = 1', ("a",), 2),
        ("t = '''a'''''\na = 1", ("a",), 2),
        ('t = "a # \\" b"\na = 1', ("a",), 2),
        ("t = ''\nu = \"\"\na = 1", ("a",), 3),
        ("t = [[1, 2], [\n3]]", ("t", 1, 0), 2),
        ("t = 1979-05-27 07:32:00\na = 1", ("a",), 2),
        (f"t = {'[' * 200}1{']' * 200}\na = 1", ("a",), 2),
    ],
)
def test_the_line_of_a_key(text: str, path: KeyPath, line: int) -> None:
    found = positions(text)
    assert found[path] == line
    assert set(found) == set(paths(tomllib.loads(text)))


words = st.text("ab'\"\\ #[]{}=,.\n", max_size=5)
scalars = words.map(as_toml) | st.sampled_from(
    ["1", "-0.5", "true", "'#'", "'''\n'''", '"""a\n"b"""']
)
gaps = st.sampled_from(["", " ", "\n", " # ]\n"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(st.tuples(gaps, inner), max_size=3).map(
            lambda each: f"[{','.join(gap + value for gap, value in each)}\n]"
        )
        | st.dictionaries(words.map(as_toml), inner, max_size=2).map(
            lambda each: "{" + ", ".join(f"{key} = {value}" for key, value in each.items()) + "}"
        )
    ),
    max_leaves=6,
)
lines = st.one_of(
    st.sampled_from(["[a]", "[b]", "[[t]]", "[[t.u]]", "[t.v]", "# [a]", "", "[a.'b c']"]),
    st.builds(
        "{} = {}".format, st.sampled_from(["a", "b", "c.d", "'e f'"]) | words.map(as_toml), values
    ),
)


@settings(database=None, deadline=None, max_examples=300)
@given(st.lists(lines, max_size=8))
def test_every_key_of_any_document_has_a_line(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = positions(text)
    assert set(found) == set(paths(document))
    assert all(0 < line <= text.count("\n") + 1 for line in found.values())
    # Cut off before its line, the document has no such key.
    for path, line in found.items():
        before = "\n".join(text.split("\n")[: line - 1])
        try:
            assert path not in set(paths(tomllib.loads(before)))
        except tomllib.TOMLDecodeError:
            continue


def test_what_is_not_toml_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no key at 2"):
        positions("  = 1")
