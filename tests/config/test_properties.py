"""Whatever a source holds, reading it gives settings, or errors of one line each."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.config.load import LoadedSettings, as_toml, describe, load
from wampush.config.settings import FIELDS, LISTS
from wampush.errors import ConfigErrors

unhurried = settings(database=None, deadline=None, max_examples=150)

ENTRY_KEYS = ["match", "slow_client", "actions", "to", "allow", "max_bytes", "per_second"]
keys = st.sampled_from([*FIELDS, *LISTS])
variables = keys.map(lambda key: "WAMPUSH_" + key.replace(".", "_").upper())
any_text = st.text(st.characters(exclude_categories=()), max_size=30)
plausible = st.sampled_from(
    [
        "tcp:80",
        "tcp://127.0.0.1:1",
        "off",
        "true",
        "1",
        "0.5",
        "auto",
        "latest",
        "a*",
        "*",
        "",
        "u.{user}.*",
        "anyone",
        "call",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | plausible
    | st.integers(2**20_000, 2**20_001)
    | st.dates()
    | st.binary(max_size=3)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(ENTRY_KEYS) | any_text, inner, max_size=3)
    ),
    max_leaves=8,
)
toml_values = st.one_of(
    st.booleans().map(as_toml),
    st.integers(-10, 2**40).map(str),
    st.floats().map(str),
    st.text(st.characters(codec="utf-8"), max_size=20).map(as_toml),
    plausible.map(as_toml),
    st.lists(plausible, max_size=3).map(lambda texts: as_toml(tuple(texts))),
    st.sampled_from(["1979-05-27", "07:32:00", "{a = 1}", "[[[]]]", "0xff", "=", "["]),
)
toml_lines = st.one_of(
    st.sampled_from(
        ["[websocket]", "[zmq]", "[http]", "[clients]", "[limits]", "[[topics]]", "[[permissions]]"]
    ),
    st.builds(
        "{} = {}".format,
        st.sampled_from([*(key.rpartition(".")[2] for key in FIELDS), *ENTRY_KEYS, "x"]),
        toml_values,
    ),
)


def read(path=None, environ=None, overrides=None, assignments=()):
    outcome: LoadedSettings | ConfigErrors
    try:
        outcome = load(path, environ or {}, overrides or {}, assignments)
    except ConfigErrors as errors:
        outcome = errors
    if isinstance(outcome, LoadedSettings):
        assert describe(outcome)
    else:
        assert outcome.errors
        assert len(str(outcome).splitlines()) == len(outcome.errors)
        assert all(error.expected for error in outcome.errors)


def read_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wampush.toml"
        path.write_bytes(content)
        read(path)


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes(content):
    read_file(content)


@unhurried
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text(text):
    read_file(text.encode())


@unhurried
@given(st.lists(toml_lines, max_size=8).map("\n".join))
def test_text_that_looks_like_a_configuration(text):
    read_file(text.encode())


@unhurried
@given(st.dictionaries(keys | any_text, values, max_size=4))
def test_any_overrides(overrides):
    read(overrides=overrides)


@unhurried
@given(
    st.dictionaries(variables | any_text.map("WAMPUSH_".__add__), any_text | plausible, max_size=4)
)
def test_any_environment(environ):
    read(environ=environ)


@unhurried
@given(
    st.lists(
        st.builds("{}={}".format, keys | any_text, toml_values | any_text) | any_text, max_size=3
    )
)
def test_any_assignments(assignments):
    read(assignments=assignments)
