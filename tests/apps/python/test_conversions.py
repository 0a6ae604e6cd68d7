"""What handlers may return, and the errors when they return something else."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from wampush.apps import CraSecret, Identity, Rewrite, Salting
from wampush.apps.python import conversions
from wampush.broker.requests.cra_key_store import CraKey
from wampush.errors import NotSerialisable


async def coroutine() -> None:
    """What a missing await leaves."""


def test_what_a_publication_becomes():
    assert conversions.as_rewrite(None) is None
    assert conversions.as_rewrite(Rewrite(None)) == b"null"


@pytest.mark.parametrize("value", ["text", {"a": 1}, False, 0, Rewrite])
def test_what_on_publish_may_return_is_reported(value):
    with pytest.raises(
        TypeError, match=r"it returned .*; return nothing .* Rewrite\(value\) .* raise Refuse"
    ):
        conversions.as_rewrite(value)


def test_the_value_that_was_returned_is_shown():
    with pytest.raises(TypeError, match="it returned False; return nothing, or raise Refuse"):
        conversions.as_nothing(False)
    with pytest.raises(TypeError, match="it returned a str; return a CraSecret, or None"):
        conversions.as_key("secret")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({1, 2}, "; convert it to a list"),
        ({"a": frozenset()}, "; convert it to a list"),
        ((each for each in "ab"), "; convert it to a list"),
        (Deferred(), "; is an await missing?"),
        ([Deferred()], "; is an await missing?"),
        (b"", ": Type is not JSON serializable: bytes"),
    ],
)
def test_a_result_without_json_form(value, hint):
    with pytest.raises(NotSerialisable) as caught:
        conversions.as_result(value)
    assert str(caught.value).endswith(hint)


def test_a_forgotten_await():
    forgotten = coroutine()
    with pytest.raises(NotSerialisable, match="is an await missing"):
        conversions.as_result(forgotten)
    forgotten.close()


def test_events_of_actions():
    assert conversions.as_event(None) is None
    assert conversions.as_event({"a": 1}) == b'{"a":1}'


def test_a_key_has_the_source_cra():
    secret = CraSecret("s", Identity("7"), Salting("salt"))
    assert conversions.as_key(secret) == CraKey("s", Identity("7", source="cra"), Salting("salt"))
    assert conversions.as_key(None) is None
