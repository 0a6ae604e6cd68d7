"""What handlers may return, and the words for what they may not."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from wampush.apps import Rewrite
from wampush.apps.python import answers
from wampush.errors import NotSerialisable


async def coroutine() -> None:
    """What a missing await leaves."""


def test_what_a_publication_becomes():
    assert answers.as_rewrite(None) is None
    assert answers.as_rewrite(Rewrite(None)) == b"null"


@pytest.mark.parametrize("value", ["text", {"a": 1}, False, 0, Rewrite])
def test_what_on_publish_may_return_is_told(value):
    with pytest.raises(TypeError, match=r"it returned .*; return Rewrite\(value\) .* raise Refuse"):
        answers.as_rewrite(value)


def test_the_value_that_was_returned_is_shown():
    with pytest.raises(TypeError, match="it returned False; raise Refuse to refuse, else return"):
        answers.as_nothing(False)
    with pytest.raises(TypeError, match="return a CraSecret, or nothing"):
        answers.as_secret("secret")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({1, 2}, "; make a list of it"),
        ({"a": frozenset()}, "; make a list of it"),
        ((each for each in "ab"), "; make a list of it"),
        (Deferred(), "; is an await missing?"),
        ([Deferred()], "; is an await missing?"),
        (b"", ": Type is not JSON serializable: bytes"),
    ],
)
def test_a_result_without_json_form(value, hint):
    with pytest.raises(NotSerialisable) as caught:
        answers.as_result(value)
    assert str(caught.value).endswith(hint)


def test_a_forgotten_await():
    forgotten = coroutine()
    with pytest.raises(NotSerialisable, match="is an await missing"):
        answers.as_result(forgotten)
    forgotten.close()
