"""Problem details (RFC 9457)."""

from __future__ import annotations

import pytest

from wampush.edges.problems import (
    NodesSilent,
    RequestRefused,
    problem,
    refused_input,
    status_of,
)
from wampush.errors import PushRefused, Refusal


def test_a_problem_has_the_members_of_the_standard() -> None:
    assert problem(404, "no such thing", {"code": "gone"}) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such thing",
        "code": "gone",
    }


@pytest.mark.parametrize("code", ["", "no-history"])
def test_a_refused_request_has_a_code_if_there_is_one(code: str) -> None:
    error = RequestRefused(400, "what is wrong", code)
    document = error.as_json()
    assert document["detail"] == document["error"] == str(error) == "what is wrong"
    assert document.get("code", "") == code


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Refusal.NOT_JSON, 400),
        (Refusal.NO_ACCESS, 401),
        (Refusal.STALE, 409),
        (Refusal.TOO_LARGE, 413),
        (Refusal.STOPPING, 503),
    ],
)
def test_a_refused_input_has_the_status_of_its_reason(refusal: Refusal, status: int) -> None:
    document = refused_input(PushRefused(refusal, "Found this."))
    assert document["status"] == status_of(refusal) == status
    assert (document["code"], document["detail"]) == (refusal.code, "Found this.")
    assert document["sentence"] == refusal.sentence


@pytest.mark.parametrize("ended", [None, 3])
def test_nodes_that_do_not_answer_are_named(ended: int | None) -> None:
    document = NodesSilent("one node has not answered", ("far",), ended).as_json()
    assert (document["status"], document["code"]) == (504, "nodes-silent")
    assert document["unanswered"] == ("far",)
    assert document.get("ended") == ended
