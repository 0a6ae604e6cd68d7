"""Which options of a publication make which audience, and why others are refused."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wamp.json_text import texts, values
from wampush.broker.audience import audience_of, targets_of
from wampush.broker.publication import EVERYONE, Audience, Targets
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
    ("[]", 'The options are []; right is an object such as {"to": {"users": ["7"]}}.'),
    ("null", "The options are null; right is"),
    (
        '{"eligable":[]}',
        'unknown key "eligable"; did you mean "eligible"? Known are to, exclude',
    ),
    ('{"x":1}', 'The options have the unknown key "x". Known are to, exclude, eligible.'),
    ('{"user":["7"]}', 'unknown key "user"'),
    ('{"exclude":"x"}', 'exclude is "x"; right is a list'),
    ('{"exclude":[1]}', "An element of exclude is 1; right is a session id, a string."),
    ('{"exclude":{"users":["7"]}}', 'exclude is {"users": ["7"]}; right is a list'),
    ('{"eligible":["x",null]}', "An element of eligible is null"),
    ('{"to":[]}', 'to is []; right is an object such as {"users": ["7"]}.'),
    ('{"to":"7"}', 'to is "7"; right is an object'),
    ('{"to":false}', "to is false; right is an object"),
    ('{"to":{"user":["7"]}}', 'to has the unknown key "user"; did you mean "users"?'),
    ('{"to":{"7":1}}', "Known are users, groups, sessions, registered, exclude."),
    ('{"to":{"users":"7"}}', 'to.users is "7"; right is a list such as ["7"].'),
    ('{"to":{"users":7}}', "to.users is 7; right is a list"),
    ('{"to":{"users":{"0":"7","2":"9"}}}', 'to.users is {"0": "7", "2": "9"}; right is a list'),
    ('{"to":{"users":[true]}}', "An element of to.users is true; right is a string or a whole"),
    ('{"to":{"users":["7",1.0]}}', "An element of to.users is 1.0"),
    ('{"to":{"users":[18446744073709551616]}}', "An element of to.users is 1.8"),
    ('{"to":{"groups":[null]}}', "An element of to.groups is null"),
    ('{"to":{"groups":[["a"]]}}', 'An element of to.groups is ["a"]'),
    ('{"to":{"sessions":[7]}}', "An element of to.sessions is 7; right is a session id"),
    ('{"to":{"registered":1}}', "to.registered is 1; right is true or false."),
    ('{"to":{"exclude":[]}}', "to.exclude is []; right is an object"),
    ('{"to":{"exclude":{"user":[]}}}', 'to.exclude has the unknown key "user"; did you mean'),
    ('{"to":{"exclude":{"registered":true}}}', 'to.exclude has the unknown key "registered".'),
    ('{"to":{"exclude":{"users":[null]}}}', "An element of to.exclude.users is null"),
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
