"""Probes: who sees what, and with which status."""

from __future__ import annotations

import json

import pytest

from tests.edges.http.http_in_memory import RecordedProbes, ask, edge_with, problem_of


def test_liveness_is_an_answer() -> None:
    response = ask(edge_with(probed=RecordedProbes("not-ready")), "/livez", host="push.example.org")
    assert (response.status, json.loads(response.body)) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("state", "status"),
    [("ready", 200), ("not-ready", 503), ("draining", 503), ("stopping", 503)],
)
def test_only_a_node_that_is_ready_gets_200(state: str, status: int) -> None:
    response = ask(edge_with(probed=RecordedProbes(state)), "/readyz")
    assert response.status == status
    assert json.loads(response.body) == {"status": state, "parts": [], "excluded": []}


def test_strangers_see_the_status_only() -> None:
    edge = edge_with(probed=RecordedProbes("not-ready"), token=b"a" * 32)
    response = ask(edge, "/readyz")
    assert (response.status, json.loads(response.body)) == (503, {"status": "not-ready"})
    response = ask(edge, "/readyz", headers=f"Authorization: Bearer {'a' * 32}\r\n")
    assert json.loads(response.body)["parts"] == []


def test_parts_can_be_left_out() -> None:
    for query, excluded in (("redis", ["redis"]), ("redis,websocket", ["redis", "websocket"])):
        response = ask(edge_with(), f"/readyz?exclude={query}")
        assert json.loads(response.body)["excluded"] == excluded
    assert json.loads(ask(edge_with(), "/readyz?exclude=").body)["excluded"] == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("exclude=kitchen", 'exclude has "kitchen"; the parts are websocket, redis'),
        ("exclude=redis&exclude=websocket", "the query has exclude more than once"),
        ("parts=redis", 'the query has "parts"; known keys are exclude'),
    ],
)
def test_a_query_that_is_not_understood_is_refused(query: str, problem: str) -> None:
    response = ask(edge_with(), f"/readyz?{query}")
    assert response.status == 400
    assert problem_of(response) == problem
