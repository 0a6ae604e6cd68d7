"""The guide to plain WebSocket can be followed, and the reference names what there is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import ROOT, blocks_in, on
from tests.support.pages import page_server
from tests.support.plain_client import PlainClient
from wampush.apps import component
from wampush.apps.component import Component, ComponentConnection, ConnectRequest, Identity

GUIDE = "docs/howto/plain-websocket.md"


def written(folder: Path, name: str, code: str, kind: str) -> Path:
    """A configuration file with a module of the guide beside it; the class serves ``/rooms``."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    path = folder / "wampush.toml"
    (table,) = blocks_in(GUIDE, "toml")
    path.write_text(table.replace("rooms:Rooms", f"{name}:{kind}"), encoding="utf-8")
    return path


@contextmanager
def following(folder: Path, number: int, kind: str) -> Iterator[Daemon]:
    """A daemon with one component of the guide."""
    code = blocks_in(GUIDE, "python")[number]
    assert f"class {kind}(Component)" in code
    path = written(folder, f"guide_{number}", code, kind)
    with running_daemon(folder, extra=["--config", str(path)]) as daemon:
        yield daemon


def test_the_rooms_and_their_page(tmp_path: Path, browser: Browser) -> None:
    (page,) = blocks_in(GUIDE, "html")
    with (
        following(tmp_path, 0, "Rooms") as daemon,
        page_server({"/rooms.html": on(daemon, page).encode()}) as pages,
    ):
        ann = browser.open(f"{pages.url}/rooms.html?room=garden&name=Ann")
        lines = ann.locator("#lines li")
        expect(lines).to_have_text(["Ann is here."])
        with PlainClient(daemon.websocket_port, "/rooms?room=cellar&name=Cy") as other:
            assert other.receive() == "Cy is here."
            bob = PlainClient(daemon.websocket_port, "/rooms?room=garden")
            assert bob.receive() == "Guest 3 is here."
            bob.send("hello")
            bob.send(b"\x00")
            assert bob.receive() == "Guest 3: hello"
            assert bob.closed() == (1003, "text only")
            bob.close()
            ann.locator("#text").fill("<b>who?</b>")
            ann.locator("#text").press("Enter")
            expect(lines).to_have_text(
                [
                    "Ann is here.",
                    "Guest 3 is here.",
                    "Guest 3: hello",
                    "Guest 3 has left.",
                    "Ann: <b>who?</b>",
                ]
            )
            other.send("alone")
            assert other.receive() == "Cy: alone"


def test_who_may_not_come_in_is_sent_away(tmp_path: Path) -> None:
    with following(tmp_path, 1, "StaffOnly") as daemon:
        client = PlainClient(daemon.websocket_port, "/rooms")
        assert client.closed() == (4003, "staff only")
        client.close()


def test_what_blocks_goes_to_a_thread(tmp_path: Path) -> None:
    with (
        following(tmp_path, 2, "Notes") as daemon,
        PlainClient(daemon.websocket_port, "/rooms") as client,
    ):
        for number in range(1, 6):
            client.send(f"note {number}")
        for number in range(1, 6):
            assert client.receive() == f"note {number} is saved"


def test_on_error_goes_on(tmp_path: Path) -> None:
    with (
        following(tmp_path, 3, "Divider") as daemon,
        PlainClient(daemon.websocket_port, "/rooms") as client,
    ):
        for sent, answer in (("4", "25.0"), ("0", "send a"), ("x", "send a"), ("8", "12.5")):
            client.send(sent)
            received = client.receive()
            assert isinstance(received, str)
            assert received.startswith(answer)


def test_a_component_is_tried_without_a_server(tmp_path: Path) -> None:
    rooms, *_, trial = blocks_in(GUIDE, "python")
    (tmp_path / "rooms.py").write_text(rooms, encoding="utf-8")
    (tmp_path / "trial.py").write_text(trial, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "trial.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Reference.


def section(title: str) -> str:
    """The part of the page below a heading."""
    text = (ROOT / "docs" / "reference" / "components.md").read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[str]:
    """The first column of a part's table."""
    return re.findall(r"^\| `(.+?)` \|", section(title), re.MULTILINE)


def shown(owner: type, name: str) -> str:
    """A member as the page writes it: methods with their arguments."""
    member = inspect.getattr_static(owner, name)
    if not inspect.isfunction(member):
        return name
    parameters = list(inspect.signature(member).parameters.values())[1:]
    empty = inspect.Parameter.empty
    texts = [
        each.name if each.default is empty else f"{each.name}={each.default!r}".replace("'", '"')
        for each in parameters
    ]
    return f"{name}({', '.join(texts)})"


@pytest.mark.parametrize("owner", [Component, ComponentConnection, ConnectRequest, Identity])
def test_the_page_lists_every_public_member(owner: type) -> None:
    names = {name for name in dir(owner) if not name.startswith("_")}
    if owner is Identity:
        names = {each.name for each in fields(Identity)}
    assert sorted(rows(f"`{owner.__name__}`")) == sorted(shown(owner, name) for name in names)


def test_the_page_lists_every_public_name() -> None:
    titles = {"Component", "ComponentConnection", "ConnectRequest", "Identity"}
    assert {*rows("Other names"), *titles} == set(component.__all__)
