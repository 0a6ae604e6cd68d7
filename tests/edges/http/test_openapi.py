"""The OpenAPI description: it names every route, and responses are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.node.test_http_site import Site
from tests.support.json_schema import mistakes
from wampush.config.tables.topics import TopicSettings
from wampush.edges.http.routes import HttpEdge

DOCUMENT = json.loads((Path(__file__).parents[3] / "static" / "openapi.json").read_text("utf-8"))
#: For people.
PAGES = {"/", "/demo", "/demo/", "/favicon.ico", "/static/", "/static/<path:__rest__>"}
METHODS = {"get", "post", "put", "delete", "patch"}


def operations() -> Iterator[tuple[str, str, Any]]:
    """Each path, method and operation."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_has_every_route_and_no_other() -> None:
    routes = {
        (re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule).replace("{session_id}", "{session}"), method)
        for rule in HttpEdge.app.url_map.iter_rules()
        for method in map(str.lower, rule.methods or ())
        if rule.rule not in PAGES and method in METHODS
    }
    assert {(path, method) for path, method, _ in operations()} == routes


def test_every_parameter_of_a_path_is_described_and_every_reference_leads_somewhere() -> None:
    for path, _, operation in operations():
        named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
        assert named == re.findall(r"\{(\w+)\}", path)
    for reference in set(re.findall(r'"#/([^"]+)"', json.dumps(DOCUMENT))):
        found = DOCUMENT
        for name in reference.split("/"):
            found = found[name]
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site(
        topics=(
            TopicSettings("table", last_by="id", version_by="rev"),
            TopicSettings("log*", history=5),
        )
    )
    yield made
    made.node.apps.stop(0)


def exchange(site: Site, method: str, target: str, body: bytes, headers: str = "") -> Any:
    """Status, headers and body of a response."""
    transport = site.connect()
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    start = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    transport.protocol.dataReceived(f"{start}{length}{headers}\r\n".encode() + body)
    while not transport.disconnecting:
        site.reactor.advance(0.1)
    head, _, content = transport.value().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in fields.items()}, content


def check(site: Site, path: str, method: str, status: int, **asked: Any) -> Any:
    """Send a request, and compare the response with the description; gives its JSON."""
    target = path
    for name, value in asked.get("of", {}).items():
        target = target.replace(f"{{{name}}}", quote(value, safe=""))
    query = "&".join(f"{key}={quote(str(value))}" for key, value in asked.get("query", {}).items())
    raw = asked.get("body", b"")
    body = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    found, headers, content = exchange(
        site,
        method.upper(),
        target + (f"?{query}" if query else ""),
        body,
        asked.get("headers", ""),
    )
    assert found == status, content
    responses = DOCUMENT["paths"][path][method]["responses"]
    described = responses[str(status)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    assert {name.lower() for name in described.get("headers", ())} <= headers.keys()
    if "content" not in described:
        assert content == b""
        return None
    ((kind, media),) = described["content"].items()
    assert headers["content-type"].partition(";")[0] == kind
    if not kind.endswith("json"):
        return content
    value = json.loads(content)
    assert mistakes(value, media["schema"], DOCUMENT) == []
    return value


def test_publishing(site: Site) -> None:
    path = {"topic": "log/7"}
    check(site, "/publish/{topic}", "post", 200, of=path, body=[1.5])
    check(site, "/publish/{topic}", "post", 200, of=path, body=1, query={"id": "a"})
    again = check(site, "/publish/{topic}", "post", 200, of=path, body=1, query={"id": "a"})
    assert again["repeated"] is True
    check(site, "/publish/{topic}", "post", 409, of=path, body=2, query={"id": "a"})
    several = {"topics": '["log2"]', "to": '{"users":["7"]}', "exclude": "[]", "eligible": "[]"}
    found = check(site, "/publish/{topic}", "post", 200, of=path, body=1, query=several)
    assert found["positions"].keys() == {"log/7", "log2"}
    check(site, "/publish/{topic}", "post", 400, of=path, body=b"{")
    check(site, "/publish/{topic}", "post", 400, of=path, body=1, query={"x": 1})
    foreign = "Origin: http://evil.example\r\n"
    check(site, "/publish/{topic}", "post", 403, of=path, body=1, headers=foreign)
    proxied = "Via: 1.1 proxy\r\n"
    check(site, "/publish/{topic}", "post", 401, of=path, body=1, headers=proxied)
    check(site, "/publish/{topic}", "post", 413, of=path, body=b"1" * 1_048_577)
    for rev, status in ((2, 200), (1, 409)):
        row = {"id": 1, "rev": rev}
        check(site, "/publish/{topic}", "post", status, of={"topic": "table"}, body=row)
    site.node.acknowledged_pushes.stop()
    check(site, "/publish/{topic}", "post", 503, of=path, body=1)


def test_publishing_objects_and_lists(site: Site) -> None:
    check(site, "/publish", "post", 200, body={"category": "log"})
    pushes = [
        {"topic": "table", "data": {"id": 1, "rev": 2}, "id": "x"},
        {"topic": "table", "data": {"id": 1, "rev": 1}, "to": {"users": [7]}},
    ]
    assert mistakes(pushes, {"items": {"$ref": "#/components/schemas/Publication"}}, DOCUMENT) == []
    found = check(site, "/publish", "post", 200, body=pushes)
    assert [each.get("code") for each in found["published"]] == [None, "stale"]
    check(site, "/publish", "post", 400, body=[])
    check(site, "/publish", "post", 400, body={})


def test_topics(site: Site) -> None:
    check(site, "/publish", "post", 200, body=[{"topic": "log", "data": n} for n in range(7)])
    private = {"topic": "log", "data": 7, "to": {"users": ["7"]}}
    position = check(site, "/publish", "post", 200, body=[private])["published"][0]
    check(site, "/topics", "get", 200, query={"prefix": "a", "after": "b", "limit": 3})
    check(site, "/topics", "get", 400, query={"limit": 0})
    proxied = "Via: 1.1 proxy\r\n"
    for path, most in (("/topics/{topic}", 0), ("/topics/{topic}/history", 5)):
        state = check(site, path, "get", 200, of={"topic": "log"})
        assert (state["offset"], len(state["events"])) == (8, most)
        check(site, path, "get", 404, of={"topic": "other"})
        check(site, path, "get", 400, of={"topic": "log"}, query={"x": 1})
        check(site, path, "get", 401, of={"topic": "log"}, headers=proxied)
        _, headers, _ = exchange(site, "GET", path.replace("{topic}", "log"), b"")
        known = f"If-None-Match: {headers['etag']}\r\n"
        check(site, path, "get", 304, of={"topic": "log"}, headers=known)
    since = f"{position['epoch']}:{position['offset'] - 1}"
    query = {"since": since, "limit": 1}
    found = check(site, "/topics/{topic}/history", "get", 200, of={"topic": "log"}, query=query)
    assert [each["restricted"] for each in found["events"]] == [True]
    check(site, "/topics", "get", 401, headers=proxied)


def test_sessions_and_the_node(site: Site) -> None:
    proxied = "Via: 1.1 proxy\r\n"
    check(site, "/sessions", "get", 200, query={"user": "7"})
    check(site, "/sessions", "get", 400, query={"x": 1})
    check(site, "/sessions", "delete", 200, query={"user": "7"})
    check(site, "/sessions", "delete", 400)
    for method in ("get", "delete"):
        check(site, "/sessions/{session}", method, 404, of={"session": "x"})
        check(site, "/sessions/{session}", method, 401, of={"session": "x"}, headers=proxied)
        check(site, "/sessions", method, 401, query={"user": "7"}, headers=proxied)
    check(site, "/healthz", "get", 200)
    check(site, "/livez", "get", 200)
    check(site, "/readyz", "get", 200)
    check(site, "/readyz", "get", 200, query={"exclude": "redis,journal"})
    check(site, "/readyz", "get", 400, query={"exclude": "kitchen"})
    check(site, "/readyz", "get", 200, headers=proxied)
    site.serving.stop()
    check(site, "/healthz", "get", 503)
    check(site, "/readyz", "get", 503)
    check(site, "/refusals", "get", 200)
    check(site, "/metrics", "get", 200)
    check(site, "/demo/settings.json", "get", 200)
    check(site, "/demo/refusal.json", "get", 200)
    for path in ("/refusals", "/metrics", "/events"):
        check(site, path, "get", 401, headers=proxied)


def test_the_document_is_served(site: Site) -> None:
    transport = site.connect()
    transport.protocol.dataReceived(b"HEAD /openapi.json HTTP/1.0\r\n\r\n")
    assert b"application/json" in transport.value()
