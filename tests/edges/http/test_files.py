"""Static files, and the response to unknown addresses."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.edges.http.http_in_memory import ask, complete_edge, edge_with
from wampush.edges.client_files import client_files
from wampush.edges.http.files import shared_client_files, static_folder
from wampush.edges.http.routes import HttpEdge
from wampush.errors import OperatorError


@pytest.fixture
def edge() -> HttpEdge:
    return complete_edge()


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


@pytest.mark.parametrize("name", ["wampush.js", "wampush.mjs", "wampush.js.map"])
def test_the_client_may_be_kept_and_loaded_by_any_page(edge: HttpEdge, name: str) -> None:
    response = ask(edge, f"/static/{name}")
    assert response.status == 200
    assert response.body == (static_folder() / name).read_bytes()
    assert int(response.headers["content-length"]) == len(response.body)
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["access-control-allow-origin"] == "*"
    known = f"If-None-Match: W/{response.headers['etag']}\r\n"
    again = ask(edge, f"/static/{name}?v=1", headers=known)
    assert (again.status, again.body) == (304, b"")


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


def test_files_are_sent_whole(edge: HttpEdge) -> None:
    whole = ask(edge, "/static/site.css")
    ranges = ",".join(["0-"] * 1000)
    some = ask(edge, "/static/site.css", headers=f"Range: bytes={ranges}\r\n")
    assert (some.status, some.body) == (200, whole.body)


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


def test_the_static_folder_of_an_installed_package_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("installed")
    monkeypatch.setattr("wampush.edges.http.files.resources.files", lambda _: tmp_path)
    assert static_folder() == tmp_path / "static"


def test_both_ports_share_the_client_for_pages() -> None:
    assert shared_client_files() == client_files(static_folder())
    assert shared_client_files() is shared_client_files()
