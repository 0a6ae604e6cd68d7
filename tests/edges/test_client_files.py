"""The client for pages, as both ports serve it."""

from __future__ import annotations

from pathlib import Path

from wampush.edges.client_files import client_files
from wampush.edges.http.files import static_folder


def test_the_files_are_those_of_the_client(tmp_path: Path) -> None:
    for name in (
        *("wampush.js", "wampush.js.map", "wampush.mjs", "wampush-cra.js"),
        *("wampush.svg", "index.html", "wampush.json", "xwampush.js", "wampush.js.bak"),
    ):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "wampush-x.js").mkdir()
    files = client_files(tmp_path)
    assert set(files) == {
        *("/static/wampush.js", "/static/wampush.js.map"),
        *("/static/wampush.mjs", "/static/wampush-cra.js"),
    }
    script = files["/static/wampush.js"]
    assert script.content == b"wampush.js"
    assert script.headers()["Content-Type"] == "text/javascript; charset=utf-8"
    assert files["/static/wampush.js.map"].headers()["Content-Type"] == "application/json"


def test_tags_change_with_the_content_only(tmp_path: Path) -> None:
    path = tmp_path / "wampush.js"
    tags = []
    for content in (b"a", b"b", b"a"):
        path.write_bytes(content)
        tags.append(client_files(tmp_path)["/static/wampush.js"].tag)
    assert tags[0] == tags[2] != tags[1]


def test_responses_on_the_wire(tmp_path: Path) -> None:
    (tmp_path / "wampush.js").write_bytes(b"var a;")
    file = client_files(tmp_path)["/static/wampush.js"]
    head, _, body = file.response("GET", "").partition(b"\r\n\r\n")
    assert body == b"var a;"
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert dict(line.split(": ", 1) for line in lines) == {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": "public, max-age=3600",
        "ETag": file.tag,
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "6",
        "Connection": "close",
    }
    assert file.response("HEAD", "") == head + b"\r\n\r\n"
    known = file.response("GET", f'"x", W/{file.tag}')
    assert known.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert known.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in known


def test_the_checkout_has_the_core() -> None:
    files = client_files(static_folder())
    assert b"CONNECTION_" in files["/static/wampush.js"].content
