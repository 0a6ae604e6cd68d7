"""URIs and CURIEs in both dialects."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wire_vectors import wire_vectors
from wampush.config.tables.websocket import Dialect
from wampush.wamp.uris import DIALECTS, RATCHET, WAMP1

unhurried = settings(database=None, deadline=None, max_examples=150)

BLOG = "http://example.com/blog"
PREFIXES = {"blog": BLOG, "b": "urn:b:", "": "urn:nothing:", "http": "urn:web:"}

RESOLVED = [
    # text, wamp1, ratchet
    ("blog:kittens", f"{BLOG}kittens", f"{BLOG}#kittens"),
    ("blog:", BLOG, f"{BLOG}#"),
    ("blog:a:b", f"{BLOG}a:b", f"{BLOG}#a:b"),
    ("b:x", "urn:b:x", "urn:b:#x"),
    (":x", ":x", ":x"),
    (":", ":", ":"),
    ("", "", ""),
    ("blog", "blog", "blog"),
    ("unknown:x", "unknown:x", "unknown:x"),
    ("Blog:x", "Blog:x", "Blog:x"),
    ("http://example.com/a", "urn:web://example.com/a", "http://example.com/a"),
    ("https://example.com/a", "https://example.com/a", "https://example.com/a"),
    ("blog:http://x", f"{BLOG}http://x", "blog:http://x"),
    ("blog:https://x", f"{BLOG}https://x", "blog:https://x"),
    ("http:x", "urn:web:x", "urn:web:#x"),
]


@pytest.mark.parametrize(("text", "wamp1", "ratchet"), RESOLVED)
def test_curies(text, wamp1, ratchet):
    assert WAMP1.resolve(text, PREFIXES) == wamp1
    assert RATCHET.resolve(text, PREFIXES) == ratchet
    assert WAMP1.resolve(text, {}) == text


@pytest.mark.parametrize("vector", wire_vectors("curies"), ids=lambda vector: vector["curie"])
def test_curies_of_the_vectors_that_all_clients_share(vector):
    assert WAMP1.resolve(vector["curie"], vector["prefixes"]) == vector["uri"]


SHRUNK = [
    ("http://a/b#c", {"p": "http://a/"}, "p:b#c"),
    ("http://a/b#c", {"p": "http://a/", "q": "http://a/b#"}, "q:c"),
    ("http://a/b#c", {"q": "http://a/b#", "p": "http://a/"}, "q:c"),
    ("http://a/b#c", {"p": "http://a/b#c"}, "p:"),
    ("http://a/b#c", {"p": "http://x/"}, "http://a/b#c"),
    ("http://a/b#c", {}, "http://a/b#c"),
    ("http://a/b#c", {"": "http://a/"}, "http://a/b#c"),
    ("http://a/b#c", {"p": ""}, "http://a/b#c"),
    # A reader splits at the first colon, so such a prefix stands for nothing.
    ("http://a/b#c", {"p:q": "http://a/"}, "http://a/b#c"),
    ("http://a/b#c", {"p:q": "http://a/b#", "p": "http://a/"}, "p:b#c"),
]


@pytest.mark.parametrize(("uri", "prefixes", "curie"), SHRUNK)
def test_shrinking(uri, prefixes, curie):
    assert WAMP1.shrink(uri, prefixes) == curie


def test_shrinking_in_ratchet_takes_the_joint_out():
    assert RATCHET.shrink("http://a/b#c", {"p": "http://a/b"}) == "p:c"
    assert RATCHET.shrink("http://a/b#c", {"p": "http://a/"}) == "http://a/b#c"


@unhurried
@given(
    st.text("ab:#/", max_size=8),
    st.dictionaries(st.text("ab:", max_size=3), st.text("ab:#/", max_size=4), max_size=4),
)
def test_a_curie_resolves_to_the_uri_that_it_was_made_from(uri, prefixes):
    curie = WAMP1.shrink(uri, prefixes)
    assert curie == uri or WAMP1.resolve(curie, prefixes) == uri


def test_dialects_are_known_by_the_names_of_the_setting():
    assert DIALECTS == {"wamp1": WAMP1, "ratchet": RATCHET}
    assert tuple(DIALECTS) == get_args(Dialect)
