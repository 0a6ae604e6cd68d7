"""Which options of a push make which audience, and why others are refused."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wamp.json_text import texts, values
from wampush.broker.publication import EVERYONE, Audience, Targets
from wampush.broker.push_options import (
    MAX_FURTHER_TOPICS,
    audience_of,
    further_topics_of,
    targets_of,
)
from wampush.errors import PushRefused, Refusal


def some(*ids):
    return frozenset(ids)


RESTRICTING_NOTHING = [
    "{}",
    '{"exclude":null,"eligible":null,"to":null}',
    '{"exclude":[]}',
    '{"to":{}}',
    '{"to":{"users":null,"groups":null,"sessions":null,"registered":null,"exclude":null}}',
    '{"to":{"registered":false}}',
    '{"to":{"exclude":{}}}',
    '{"to":{"exclude":{"users":[],"groups":[],"sessions":null}}}',
]


@pytest.mark.parametrize("text", RESTRICTING_NOTHING)
def test_options_that_restrict_nothing_keep_the_fast_path(text):
    assert audience_of(orjson.loads(text)) is EVERYONE


ACCEPTED = [
    ('{"users":["7","8","7"]}', Targets(users=some("7", "8"))),
    ('{"users":[7,"8",-1]}', Targets(users=some("7", "8", "-1"))),
    ('{"users":[18446744073709551615]}', Targets(users=some("18446744073709551615"))),
    ('{"groups":["staff",3]}', Targets(groups=some("staff", "3"))),
    ('{"sessions":["x"]}', Targets(sessions=some("x"))),
    ('{"registered":true}', Targets(registered=True)),
    ('{"users":[]}', Targets(users=some())),
    ('{"users":[],"registered":false}', Targets(users=some())),
    ('{"exclude":{"users":[7]}}', Targets(exclude_users=some("7"))),
    ('{"exclude":{"groups":["a"]}}', Targets(exclude_groups=some("a"))),
    ('{"exclude":{"sessions":["b"]}}', Targets(exclude_sessions=some("b"))),
    ('{"users":["é","*",""],"exclude":null}', Targets(users=some("é", "*", ""))),
]


@pytest.mark.parametrize(("text", "targets"), ACCEPTED)
def test_accepted_targets(text, targets):
    to = json.loads(text)
    assert audience_of({"to": to}) == Audience(to=targets)
    assert targets_of(to) == targets


def test_targets_beside_the_older_options():
    options = {"to": {"users": ["7"]}, "exclude": ["x"], "eligible": ["x", "y"]}
    expected = Audience(some("x"), some("x", "y"), Targets(users=some("7")))
    assert audience_of(options) == expected


def test_a_list_that_came_out_empty_names_somebody_all_the_same():
    """Else a backend that finds nobody to tell would tell everybody."""
    assert Targets(users=some()).names_somebody
    assert not Targets().names_somebody
    assert not Targets(exclude_users=some("7")).names_somebody


@pytest.mark.parametrize("users", [["7"], ("7",), {"7"}, frozenset({7})])
def test_application_code_may_use_any_collection(users):
    assert targets_of({"users": users}) == Targets(users=some("7"))


REFUSED = [
    ("[]", 'The options must be an object such as {"to": {"users": ["7"]}}, not [].'),
    ("null", 'The options must be an object such as {"to": {"users": ["7"]}}, not null.'),
    (
        '{"eligable":[]}',
        'Unknown key "eligable" in the options; did you mean "eligible"? Known keys: to, exclude',
    ),
    ('{"x":1}', 'Unknown key "x" in the options. Known keys: to, exclude, eligible, topics.'),
    ('{"user":["7"]}', 'Unknown key "user" in the options'),
    ('{"exclude":"x"}', 'exclude must be a list such as ["7"], not "x".'),
    ('{"exclude":[1]}', "An element of exclude must be a session id, which is a string, not 1."),
    (
        '{"exclude":{"users":["7"]}}',
        'exclude must be a list such as ["7"], not {"users": ["7"]}.',
    ),
    ('{"eligible":["x",null]}', "An element of eligible must be a session id, which is a string"),
    ('{"to":[]}', 'to must be an object such as {"users": ["7"]}, not [].'),
    ('{"to":"7"}', 'to must be an object such as {"users": ["7"]}, not "7".'),
    ('{"to":false}', 'to must be an object such as {"users": ["7"]}, not false.'),
    ('{"to":{"user":["7"]}}', 'Unknown key "user" in to; did you mean "users"?'),
    ('{"to":{"7":1}}', "Known keys: users, groups, sessions, registered, exclude."),
    ('{"to":{"users":"7"}}', 'to.users must be a list such as ["7"], not "7".'),
    ('{"to":{"users":7}}', 'to.users must be a list such as ["7"], not 7.'),
    (
        '{"to":{"users":{"0":"7","2":"9"}}}',
        'to.users must be a list such as ["7"], not {"0": "7", "2": "9"}.',
    ),
    (
        '{"to":{"users":[true]}}',
        "An element of to.users must be a string or a whole number, not true.",
    ),
    ('{"to":{"users":["7",1.0]}}', "a string or a whole number, not 1.0."),
    ('{"to":{"users":[18446744073709551616]}}', "a string or a whole number, not 1.8"),
    ('{"to":{"groups":[null]}}', "An element of to.groups must be a string or a whole number"),
    ('{"to":{"groups":[["a"]]}}', 'a string or a whole number, not ["a"].'),
    ('{"to":{"sessions":[7]}}', "An element of to.sessions must be a session id"),
    ('{"to":{"registered":1}}', "to.registered must be true or false, not 1."),
    ('{"to":{"exclude":[]}}', 'to.exclude must be an object such as {"users": ["7"]}, not [].'),
    ('{"to":{"exclude":{"user":[]}}}', 'Unknown key "user" in to.exclude; did you mean'),
    ('{"to":{"exclude":{"registered":true}}}', 'Unknown key "registered" in to.exclude.'),
    ('{"to":{"exclude":{"users":[null]}}}', "An element of to.exclude.users must be a string"),
]


@pytest.mark.parametrize(("text", "detail"), REFUSED)
def test_refused(text, detail):
    with pytest.raises(PushRefused) as caught:
        audience_of(orjson.loads(text))
    assert caught.value.refusal is Refusal.BAD_OPTIONS
    assert detail in caught.value.detail


@pytest.mark.parametrize(
    "options",
    [
        {1: []},
        {"to": {None: []}},
        {"to": {"users": [10**30]}},
        {"to": {"users": [10**5000]}},
        {"to": {"users": [b"7"]}},
        {"x" * 100_000: 1},
        {"to": "x" * 100_000},
    ],
)
def test_whatever_application_code_gives(options):
    with pytest.raises(PushRefused) as caught:
        audience_of(options)
    assert len(caught.value.detail) < 300


targets = st.fixed_dictionaries(
    {},
    optional={
        "users": values,
        "groups": values,
        "sessions": values,
        "registered": values,
        "exclude": values | st.fixed_dictionaries({}, optional={"users": values}),
    },
)


@settings(database=None, deadline=None, max_examples=200)
@given(texts(values | st.fixed_dictionaries({"to": targets | values})))
def test_any_json_is_an_audience_or_refused(text):
    try:
        options = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    outcome = audience_or_refusal(options)
    if isinstance(outcome, PushRefused):
        assert outcome.refusal is Refusal.BAD_OPTIONS
        assert 0 < len(outcome.detail) < 300


def audience_or_refusal(options):
    """Anything else that is raised fails the test."""
    try:
        return audience_of(options)
    except PushRefused as error:
        return error


def test_applications_may_name_users_by_strings_of_their_own_type():
    class UserId(str):
        __slots__ = ()

    targets = targets_of({"users": [UserId("7")]})
    assert targets is not None
    assert targets.users == frozenset({"7"})


@pytest.mark.parametrize(
    ("options", "topics"),
    [
        ({}, ()),
        ({"topics": None}, ()),
        ({"topics": []}, ()),
        ({"topics": ["b", "a", "b"], "exclude": ["x"]}, ("b", "a")),
        ({"topics": ["a"] * MAX_FURTHER_TOPICS}, ("a",)),
    ],
)
def test_further_topics(options: dict[str, object], topics: tuple[str, ...]) -> None:
    audience_of(options)
    assert further_topics_of(options) == topics


@pytest.mark.parametrize(
    ("topics", "detail"),
    [
        ("a", 'topics must be a list such as ["orders"], not "a".'),
        ([1], "An element of topics must be a topic, which is a string, not 1."),
        (["a"] * (MAX_FURTHER_TOPICS + 1), "topics has 101 topics; 100 allowed."),
    ],
)
def test_further_topics_that_are_refused(topics: object, detail: str) -> None:
    with pytest.raises(PushRefused) as caught:
        further_topics_of({"topics": topics})
    assert (caught.value.refusal, caught.value.detail) == (Refusal.BAD_OPTIONS, detail)
