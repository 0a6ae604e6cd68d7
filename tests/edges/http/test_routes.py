"""The HTTP edge: what it shows, to whom, and what it refuses."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.edges.http.http_in_memory import LIMITS, MAX_BYTES, RecordedPushes, ask, edge_with, run
from wampush.edges.http.access import HttpAccess
from wampush.edges.http.answers import host_of
from wampush.edges.http.files import static_folder
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.http.site import MAX_DROPPED_BYTES
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def edge() -> HttpEdge:
    view = HttpView(
        lambda: {"status": "ok", "sessions": 3, "topics": 2, "connections": 4},
        lambda: [{"reason": "no-topic"}],
        lambda session_id: {"user": "7"} if session_id == "abc" else None,
        lambda host: f"ws://{host}:8080/",
        lambda: "tcp://127.0.0.1:5555",
        lambda: b"a 1\n",
    )
    return HttpEdge(view, RecordedPushes(), HttpAccess(None), LIMITS)


def test_health_is_the_mapping_handed_in(edge: HttpEdge) -> None:
    response = ask(edge, "/healthz")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.body) == {
        "status": "ok",
        "sessions": 3,
        "topics": 2,
        "connections": 4,
    }


def test_health_is_503_while_stopping() -> None:
    edge = edge_with(lambda: {"status": "stopping", "sessions": 1})
    response = ask(edge, "/healthz")
    assert response.status == 503
    assert json.loads(response.body)["status"] == "stopping"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8081", "ws://127.0.0.1:8080/"),
        ("push.example.org", "ws://push.example.org:8080/"),
        ("localhost:", "ws://localhost:8080/"),
        ("[::1]:8081", "ws://[::1]:8080/"),
        (None, "ws://127.0.0.1:8080/"),
    ],
)
def test_demo_settings_follow_the_host(edge: HttpEdge, host: str | None, expected: str) -> None:
    response = ask(edge, "/demo/settings.json", host=host)
    assert response.status == 200
    assert json.loads(response.body) == {"websocket": expected, "push": "tcp://127.0.0.1:5555"}


@pytest.mark.parametrize(
    ("address", "host", "shown"),
    [
        (None, "localhost", None),
        ("tcp://127.0.0.1:5556", "push.example.org", "tcp://127.0.0.1:5556"),
        ("ipc:///run/wampush/push", "localhost", "ipc:///run/wampush/push"),
        ("ipc:///run/wampush/push", "push.example.org", None),
    ],
)
def test_demo_settings_tell_where_to_push(
    address: str | None, host: str, shown: str | None
) -> None:
    view = HttpView(
        lambda: {"status": "ok"}, list, lambda _: None, str, lambda: address, lambda: b""
    )
    edge = HttpEdge(view, RecordedPushes(), HttpAccess(None), LIMITS)
    assert json.loads(ask(edge, "/demo/settings.json", host=host).body)["push"] == shown


def test_demo_settings_without_a_listener_are_503() -> None:
    response = ask(edge_with(lambda: {"status": "ok"}), "/demo/settings.json")
    assert response.status == 503


@pytest.mark.parametrize(
    "host",
    ['evil"x', "a b", "a/b", "a@b", "a..b", "-a", "a:port", "[::1", "x" * 64, "a." * 140, "é", ""],
)
def test_invalid_hosts_are_refused(edge: HttpEdge, host: str) -> None:
    response = ask(edge, "/demo/settings.json", host=host)
    assert response.status == 400
    assert host_of(host) is None


@pytest.mark.parametrize(
    "path", ["/", "/demo/", "/static/site.css", "/static/demo/demo.js", "/nix", "/healthz"]
)
def test_every_response_carries_the_security_headers(edge: HttpEdge, path: str) -> None:
    headers = ask(edge, path).headers
    assert headers["server"] == "wampush"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self' ws: wss:" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/demo/", "text/html; charset=utf-8"),
        ("/static/demo/demo.css", "text/css; charset=utf-8"),
        ("/static/demo/demo.js", "text/javascript; charset=utf-8"),
        ("/static/wampush.svg", "image/svg+xml"),
    ],
)
def test_files_have_their_type_and_are_revalidated(
    edge: HttpEdge, path: str, content_type: str
) -> None:
    response = ask(edge, path)
    assert response.status == 200
    assert response.headers["content-type"] == content_type
    assert response.headers["cache-control"] == "no-cache"
    assert len(response.body) == int(response.headers["content-length"]) > 0
    stamp = response.headers["last-modified"]
    assert ask(edge, path, headers=f"If-Modified-Since: {stamp}\r\n").status == 304


def test_head_has_the_headers_and_no_body(edge: HttpEdge) -> None:
    for path in ("/static/site.css", "/healthz"):
        response = ask(edge, path, method="HEAD")
        assert (response.status, response.body) == (200, b"")
        assert int(response.headers["content-length"]) > 0


def test_the_demo_without_slash_leads_to_it(edge: HttpEdge) -> None:
    response = ask(edge, "/demo")
    assert response.status == 308
    assert response.headers["location"] == "demo/"


@pytest.mark.parametrize(
    "path",
    [
        "/nix",
        "/healthz/",
        "/static",
        "/static/",
        "/static/demo",
        "/static/demo/",
        "/static/nix.css",
        "/static/../setup.cfg",
        "/static/%2e%2e/setup.cfg",
        "/static/..%2fsetup.cfg",
        "/static/demo/../../setup.cfg",
        "/static/demo%2fdemo.js",
        "/static//site.css",
        "/static/site.css/",
        "/static/%00",
        "/static/.hidden.css",
        "/demo/index.html",
        "/static/page.exe",
    ],
)
def test_what_does_not_exist_is_404_and_says_what_does(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "static"
    (folder / "demo").mkdir(parents=True)
    for name in ("index.html", "not-found.html", "site.css", ".hidden.css", "page.exe"):
        (folder / name).write_text(name)
    (folder / "demo" / "demo.js").write_text("secret")
    (tmp_path / "setup.cfg").write_text("secret")
    edge = edge_with(lambda: {"status": "ok"}, folder=folder)
    response = ask(edge, path)
    assert response.status == 404
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"/healthz" in response.body
    assert b"secret" not in response.body


def test_browsers_get_a_page_that_says_what_exists(edge: HttpEdge) -> None:
    response = ask(edge, "/nix", headers="Accept: text/html,*/*\r\n")
    assert response.status == 404
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert b'href="/demo/"' in response.body


@pytest.mark.parametrize("path", ["/", "/healthz", "/demo/", "/static/site.css"])
def test_other_methods_are_told_which_ones_work(edge: HttpEdge, path: str) -> None:
    response = ask(edge, path, method="DELETE")
    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.body == b"This address answers GET, HEAD and no other method.\n"


def test_a_path_that_is_not_utf8_is_refused(edge: HttpEdge) -> None:
    assert ask(edge, "/%ff%fe").status == 400


@pytest.mark.parametrize("method", ["get", "G\xe9T", "X" * 30])
def test_a_method_that_is_none_is_refused(edge: HttpEdge, method: str) -> None:
    assert ask(edge, "/", method=method).status == 400


def test_files_are_sent_whole(edge: HttpEdge) -> None:
    whole = ask(edge, "/static/site.css")
    ranges = ",".join(["0-"] * 1000)
    some = ask(edge, "/static/site.css", headers=f"Range: bytes={ranges}\r\n")
    assert (some.status, some.body) == (200, whole.body)


@pytest.mark.parametrize("size", [2, MAX_BYTES, MAX_BYTES + 1, MAX_DROPPED_BYTES])
def test_a_body_that_nobody_needs_is_dropped(edge: HttpEdge, size: int) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n%s" % (size, b"x" * size)
    half, rest = size // 2, size - size // 2
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, b"x" * half, rest, b"x" * rest)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    for request in (plain, chunked):
        answer = run(edge, request)
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("other", ["localhost:8081", "evil.example"])
def test_two_hosts_are_refused(edge: HttpEdge, other: str) -> None:
    assert ask(edge, "/healthz", host=other, headers="Host: localhost:8081\r\n").status == 400


@pytest.mark.parametrize(
    "codings", [["chunked", "identity"], ["identity"], ["identity", "chunked"]]
)
def test_a_body_whose_end_could_be_elsewhere_ends_the_connection(
    edge: HttpEdge, codings: list[str]
) -> None:
    lines = "".join(f"Transfer-Encoding: {each}\r\n" for each in codings)
    head = f"POST /publish/t HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
    answer = run(edge, head + b"1\r\n1\r\n0\r\n\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_without_end_ends_the_connection(edge: HttpEdge) -> None:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_DROPPED_BYTES * 4}\r\n\r\n"
    assert run(edge, head.encode() + b"x" * (MAX_DROPPED_BYTES + 1)) == b""


def test_a_failing_status_shows_no_traceback() -> None:
    def broken() -> dict[str, object]:
        raise KeyError("secret")

    response = ask(edge_with(broken), "/healthz")
    assert response.status == 500
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body


class _References(HTMLParser):
    """What a page loads, and inline code that its content security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value and tag != "a":
                self.loads.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.inline.append(tag)


@pytest.mark.parametrize(
    ("name", "base"), [("index.html", "/"), ("demo/index.html", "/demo/"), ("not-found.html", "/x")]
)
def test_pages_load_only_what_exists_and_run_nothing_inline(
    edge: HttpEdge, name: str, base: str
) -> None:
    references = _References()
    references.feed((static_folder() / name).read_text())
    assert references.inline == []
    assert references.loads
    for target in references.loads:
        path = target.replace("../", "/") if base == "/demo/" else f"/{target.lstrip('/')}"
        assert ask(edge, path).status == 200, target


def test_the_static_folder_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("wampush.edges.http.files.resources.files", lambda _: tmp_path)
    monkeypatch.setattr(
        "wampush.edges.http.files.__file__", str(tmp_path / "a" / "b" / "c" / "files.py")
    )
    with pytest.raises(OperatorError, match="install the package again"):
        static_folder()


def test_the_static_folder_is_found_in_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("wampush.edges.http.files.resources.files", lambda _: tmp_path)
    assert (static_folder() / "demo" / "index.html").is_file()


TOKEN = b"0123456789abcdef"
COUNTS = {"status": "ok", "sessions": 3}


def test_state_is_shown_to_this_machine_while_no_token_is_set(edge):
    assert json.loads(ask(edge, "/healthz").body)["sessions"] == 3
    assert json.loads(ask(edge, "/refusals").body) == {"refusals": [{"reason": "no-topic"}]}


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("rebound.example.org", ""),
        ("127.0.0.1.example.org", ""),
        ("localhost:8081", "X-Forwarded-For: 192.0.2.1\r\n"),
        ("localhost:8081", "X-Forwarded-For:\r\n"),
        ("localhost:8081", "X-Real-IP: 192.0.2.1\r\n"),
        ("localhost:8081", "X-Forwarded-Proto: https\r\n"),
        ("localhost:8081", "Via: 1.1 proxy\r\n"),
        ("localhost:8081", "Forwarded: for=192.0.2.1\r\n"),
    ],
)
def test_other_requests_see_the_status_alone(edge, host, headers):
    response = ask(edge, "/healthz", host=host, headers=headers)
    assert (response.status, json.loads(response.body)) == (200, {"status": "ok"})
    refused = ask(edge, "/refusals", host=host, headers=headers)
    assert refused.status == 401
    assert b"http.token_file" in refused.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8081", "[::1]:8081", "LOCALHOST"])
def test_every_name_of_this_machine_will_do(edge, host):
    assert ask(edge, "/refusals", host=host).status == 200


@pytest.mark.parametrize(
    ("authorization", "may"),
    [
        ("Bearer 0123456789abcdef", True),
        ("bearer  0123456789abcdef", True),
        ("Bearer 0123456789abcdeF", False),
        ("Bearer 0123456789abcdef0", False),
        ("Bearer", False),
        ("Bearer \xff", False),
        ("Basic 0123456789abcdef", False),
    ],
)
def test_with_a_token_set_it_alone_decides(authorization, may):
    edge = edge_with(lambda: COUNTS, token=TOKEN)
    headers = f"Authorization: {authorization}\r\n"
    assert ask(edge, "/refusals", headers=headers).status == (200 if may else 401)
    far = ask(edge, "/healthz", host="push.example.org", headers=headers)
    assert ("sessions" in json.loads(far.body)) is may
    assert ask(edge, "/refusals").status == 401


def test_the_token_is_not_shown_by_the_object_that_holds_it():
    assert "0123" not in repr(HttpAccess(TOKEN))


def test_metrics(edge):
    response = ask(edge, "/metrics")
    assert (response.status, response.body) == (200, b"a 1\n")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    refused = ask(edge, "/metrics", host="rebound.example.org")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="wampush"'


@pytest.mark.parametrize("path", ["/", "/ws", "/healthz"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_who_looks_for_the_websocket_is_told_where_it_is(edge, path, upgrade):
    response = ask(edge, path, headers=f"Upgrade: {upgrade}\r\n", host="push.example.org:8081")
    assert response.status == 400
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.body.decode() == (
        "This is the HTTP port of wampush; the WebSocket is at ws://push.example.org:8080/\n"
    )
    nowhere = ask(edge_with(), path, headers=f"Upgrade: {upgrade}\r\n")
    assert nowhere.body == b"This is the HTTP port of wampush\n"
    assert ask(edge, "/healthz", headers="Upgrade: h2c\r\n").status == 200


def test_one_session(edge):
    assert json.loads(ask(edge, "/sessions/abc").body) == {"user": "7"}
    missing = ask(edge, "/sessions/other")
    assert (missing.status, json.loads(missing.body)) == (404, {"error": "no session has this id"})
    assert ask(edge, "/sessions/abc", host="rebound.example.org").status == 401
