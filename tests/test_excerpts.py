"""Values from peers are shown short and printable, whatever they are."""

from __future__ import annotations

import pytest

from wampush.excerpts import printable, printable_lines, shown, shown_json


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(5000),
        {"a": nested(5000)},
        list(range(100_000)),
        {str(number): number for number in range(1000)},
        "x" * 100_000,
        "\x00" * 1000,
        b"\xff" * 100_000,
        pytest.param(10**5000, id="endless"),
        [-(10**5000)],
        1.5,
        None,
    ],
)
def test_any_value_can_be_shown(value):
    assert 0 < len(shown(value)) <= 81
    assert shown(value).isprintable()


@pytest.mark.parametrize("value", ["text", b"bytes\n", 5, [1, "a"], {"a": None}, True])
def test_short_values_are_shown_as_they_are(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("M\xfcller", '"M\xfcller"'),
        ('say "no" \\', r'"say \"no\" \\"'),
        ("a\nb\x1b\u202e", r'"a\nb\u001b\u202e"'),
        ("\U000e0001", r'"\udb40\udc01"'),
        ([1, None, "a"], '[1, null, "a"]'),
        ({"a": {"b": False}}, '{"a": {"b": false}}'),
        ("x" * 81, '"' + "x" * 79 + "…"),
        (frozenset({1}), "frozenset({1})"),
    ],
)
def test_json_is_shown_as_json(value, text):
    assert shown_json(value) == text


@pytest.mark.parametrize("value", [nested(5000), {"a": nested(5000)}, "\n" * 1000, [10**5000]])
def test_any_json_can_be_shown(value):
    assert 0 < len(shown_json(value)) <= 81
    assert shown_json(value).isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Müller", "Müller"), ("a\tb\n", "a\\tb\\n"), ("\x1b[2J", "\\u001b[2J"), ("", "")],
)
def test_texts_keep_what_is_printable(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *[chr(number) for number in (*range(32), *range(0x7F, 0xA0))],
        *"\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff",
        "\ud800",
        "\U000e0041",
    ],
)
def test_no_control_or_format_character_is_shown_raw(text):
    for made in (printable(f"a{text}b"), shown(f"a{text}b"), shown_json(f"a{text}b")):
        assert made.isprintable()
    if text not in "\n\t":
        assert printable_lines(f"a{text}b") == printable(f"a{text}b")


def test_lines_and_tabs_stay():
    assert printable_lines("a\x1b\n\tb\u202e\n") == "a\\u001b\n\tb\\u202e\n"
    assert printable_lines("plain") == "plain"
