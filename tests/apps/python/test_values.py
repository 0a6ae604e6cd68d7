"""What handlers may raise and return, and which arguments these take."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.apps import ActionError, CraSecret, Identity, Refuse, Rewrite, Salting, WampError
from wampush.errors import NotSerialisable


def test_errors_of_calls() -> None:
    details = [1]
    error = WampError("http://x#y", "sold out", details, end_session=True)
    details.append(2)
    assert (error.uri, error.desc, error.end_session) == ("http://x#y", "sold out", True)
    assert error.details_text == b"[1]"
    assert str(error) == "http://x#y: sold out"
    assert WampError("u", "d").details_text is None


def test_errors_of_actions() -> None:
    assert str(ActionError(404, "no such item")) == "404: no such item"
    assert ActionError("gone", "x").code == "gone"


def test_refusals_are_one_line_of_bounded_length() -> None:
    assert Refuse().reason == ""
    assert Refuse("a\nb\x1b").reason == "a b "
    assert len(Refuse("x" * 500).reason) == 201


def test_secrets_are_in_no_representation() -> None:
    assert "secret" not in repr(CraSecret("s3cret-secret")).replace("CraSecret", "")
    assert Rewrite(None) == Rewrite(None)


WRONG: list[Any] = [
    (
        WampError,
        (
            7,
            "x",
        ),
        "uri must be a string, not int",
    ),
    (
        WampError,
        (
            "x",
            None,
        ),
        "desc must be a string, not NoneType",
    ),
    (
        ActionError,
        (
            1.5,
            "x",
        ),
        "code must be a string, not float",
    ),
    (
        ActionError,
        (
            1,
            b"x",
        ),
        "text must be a string, not bytes",
    ),
    (Refuse, (403,), "reason must be a string, not int"),
    (CraSecret, (b"x",), "secret must be a string, not bytes"),
    (CraSecret, ("x", "ann"), "identity must be an Identity, not 'ann'"),
    (CraSecret, ("x", Identity(), "salt"), "salting must be a Salting, not 'salt'"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), WRONG)
def test_wrong_types_are_named(kind: Any, arguments: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        kind(*arguments)
    assert str(caught.value) == message


def test_details_need_a_json_form() -> None:
    with pytest.raises(NotSerialisable):
        WampError("u", "d", object())
    assert CraSecret("x", Identity("7"), Salting("s")).salting == Salting("s")
