"""The examples, each started by the command that its guide names, in a real browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Browser
from tests.support.looks import check_looks
from tests.support.php import need_zmq
from tests.support.waiting import PATIENCE
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

FOREIGN_HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Origin": "http://elsewhere.example",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "wamp",
}


class Example(Process):
    """A running example.

    :param name: its folder.
    :param ports: for WebSockets, backends, operators and pages.
    """

    def __init__(self, name: str, ports: list[int], cwd: Path) -> None:
        websocket, zmq, operators, pages = ports
        super().__init__(
            [
                sys.executable,
                str(EXAMPLES / "run.py"),
                name,
                f"--ws-port={websocket}",
                f"--zmq-port={zmq}",
                f"--http-port={operators}",
                f"--page-port={pages}",
            ],
            cwd=cwd,
            environment={
                **{key: each for key, each in os.environ.items() if not key.startswith("WAMPUSH_")},
                "PYTHONPATH": str(ROOT / "scripts"),
            },
        )
        self.url = f"http://127.0.0.1:{pages}/"
        self.websocket_port = websocket
        self.zmq = f"tcp://127.0.0.1:{zmq}"


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[Example]:
    """Start an example and end it as Ctrl-C does; nothing of it is left."""
    with reserved_ports(4) as ports:
        example = Example(name, ports, folder)
        try:
            example.wait_for_line(f"Open {example.url}")
            yield example
        finally:
            # Asked to end, it ends what it has started; killed, it could not.
            status = example.terminate()
        assert status == 0, example.log
        assert "Traceback" not in example.log, example.log


def lines(page: Page, selector: str) -> list[str]:
    """The texts of what a selector finds."""
    return page.locator(selector).all_inner_texts()


def test_two_windows_chat(tmp_path: Path, browser: Browser) -> None:
    with running("chat", tmp_path) as example:
        one, two = (browser.open(example.url) for _ in range(2))
        for page, name in ((one, "Ann"), (two, "Bob")):
            page.get_by_label("Your name").fill(name)
            page.get_by_label("Your name").press("Enter")
            expect(page.locator("#state")).to_have_text(f"Connected as {name}")
        expect(one.locator("#messages .event")).to_contain_text("Bob joined")
        expect(one.locator("#people")).to_have_text("2 people here: Ann, Bob")
        two.get_by_label("Message", exact=True).fill("Hello <b>there</b>")
        two.get_by_label("Message", exact=True).press("Enter")
        message = one.locator("#messages .message:not(.own)")
        expect(message.locator("p")).to_have_text("Hello <b>there</b>")
        expect(message.locator("b")).to_have_text("Bob")
        expect(message.locator("time")).to_have_text(re.compile("[0-9]:[0-9]"))
        expect(two.locator("#messages .own b")).to_have_text("Bob (you)")
        two.close()
        expect(one.locator("#messages .event").last).to_contain_text("Bob left")
        assert browser.logged == []


def test_staff_and_customers_see_orders_live(tmp_path: Path, browser: Browser) -> None:
    with running("orders", tmp_path) as example:
        staff = browser.open(f"{example.url}?as=carol")
        alice, other_tab, bob = (
            browser.open(f"{example.url}?as={name}") for name in ("alice", "alice", "bob")
        )
        for page in (staff, alice, other_tab, bob):
            expect(page.locator("#state")).to_have_text("Connected")
        expect(staff.locator("#presence")).to_have_text("3 people are here")
        alice.locator("#article").fill("Earl <b>Grey</b>")
        alice.get_by_role("button", name="Order").click()
        expect(alice.locator("#answer")).to_have_text("Order 1 is placed.")
        for page in (staff, alice, other_tab):
            expect(page.locator("#order-1")).to_contain_text("Earl <b>Grey</b>")
            expect(page.locator("#order-1")).to_contain_text("placed")
        staff.get_by_role("button", name="Ship").click()
        for page in (staff, alice, other_tab):
            expect(page.locator("#order-1")).to_contain_text("shipped")
            expect(page.locator("#order-1 time")).to_have_text(re.compile("[0-9]:[0-9]"))
        # Bob hears of his own orders only, and may not ship.
        bob.locator("#article").fill("Coffee")
        bob.get_by_role("button", name="Order").click()
        expect(bob.locator("tbody tr")).to_have_count(1)
        expect(bob.locator("#order-2")).to_contain_text("Coffee")
        refused = bob.evaluate(
            """() => new Promise(done =>
                call('orders.ship', 2).then(done, error => done(error.uri)))"""
        )
        assert refused == "http://api.wamp.ws/error#forbidden"
        # Who comes later finds what there was.
        again = browser.open(f"{example.url}?as=alice")
        expect(again.locator("#order-1")).to_contain_text("shipped")
        expect(again.locator("tbody tr")).to_have_count(1)
        # The command of an empty board is to be copied.
        carols = browser.open(f"{example.url}?as=alice").locator("#push").text_content() or ""
        words = shlex.split(carols)
        assert words[:3] == [".venv/bin/wampush", "push", "user.alice"]
        push([str(Path(sys.executable).with_name("wampush")), *words[1:]])
        expect(alice.locator("#order-1000")).to_contain_text("Coffee")
        # A board that is opened later shows what was pushed before, without asking for it.
        order = {"number": 2000, "customer": "dave", "article": "Tea", "state": "shipped"}
        program = str(Path(sys.executable).with_name("wampush"))
        push([program, "push", "orders", json.dumps(order), "--to", example.zmq])
        expect(staff.locator("#order-2000")).to_contain_text("Tea")
        later = browser.open(f"{example.url}?as=carol")
        expect(later.locator("#order-2000")).to_contain_text("Tea")
        expect(later.locator("#order-1")).to_contain_text("shipped")
        assert browser.logged == []


def test_the_php_application_logs_in_pushes_and_answers(tmp_path: Path, browser: Browser) -> None:
    need_zmq()
    with running("php", tmp_path) as example:
        # Whoever connected before a login stays a stranger until the page connects again.
        alice, stranger = browser.open(example.url), browser.open(example.url)
        for page in (alice, stranger):
            expect(page.locator("#state")).to_have_text("Connected")
            expect(page.locator("#who")).to_have_text("nobody")
        stranger.get_by_role("button", name="Add an apple").click()
        expect(stranger.locator("#answer")).to_contain_text("Refused")
        check_looks(stranger)

        alice.get_by_label("Name").fill("Alice")
        alice.get_by_role("button", name="Log in").click()
        expect(alice.locator("#who")).to_have_text("Alice")
        tab = browser.open(example.url)
        expect(tab.locator("#who")).to_have_text("Alice")
        alice.get_by_role("button", name="Add an apple").click()
        expect(alice.locator("#answer")).to_have_text("In the cart: apple")
        for page in (alice, tab):
            expect(page.locator("#mine li")).to_contain_text("One apple more in your cart.")
        tab.get_by_role("button", name="Add a pear").click()
        expect(tab.locator("#answer")).to_have_text("In the cart: apple, pear")

        # The command to copy goes where this example listens.
        check_looks(alice)
        push(shlex.split(alice.locator("#push").inner_text()))
        for page in (alice, tab, stranger):
            expect(page.locator("#news li span")).to_have_text("Sale!")
            expect(page.locator("#news-updated")).to_have_text(re.compile("updated .*[0-9]:[0-9]"))
        check_looks(tab)
        to = f"--to {example.zmq}"
        push(
            shlex.split(
                f"""php examples/php/push.php {to} user.Alice '{{"text": "For you."}}' Alice"""
            )
        )
        expect(alice.locator("#mine li span").first).to_have_text("For you.")
        # A page that was refused finds out why.
        assert refusal(example) is None
        foreign = http.client.HTTPConnection("127.0.0.1", example.websocket_port, timeout=PATIENCE)
        foreign.request("GET", "/", headers=FOREIGN_HANDSHAKE)
        assert foreign.getresponse().status == 403
        assert (refusal(example) or {})["reason"] == "origin-forbidden"
        assert browser.logged == []


def test_a_terminal_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    need_zmq()
    with reserved_ports(4) as ports:
        example = Example("php", ports, tmp_path)
        try:
            example.wait_for_line(f"Open {example.url}")
            os.kill(example.pid, signal.SIGHUP)
            assert example.wait() == 0
        finally:
            example.terminate()
        for port in ports:
            with socket.socket() as attempt:
                assert attempt.connect_ex(("127.0.0.1", port)) != 0


def refusal(example: Example) -> dict[str, str] | None:
    """What the pages get when they ask why they were refused."""
    with urllib.request.urlopen(f"{example.url}refusal.json", timeout=PATIENCE) as answer:
        found: dict[str, str] | None = json.load(answer)["refusal"]
    return found


def push(command: list[str]) -> None:
    """Run what a page or the README of the examples says to type, in the project's folder."""
    subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE)


def test_a_push_that_nobody_takes_fails() -> None:
    need_zmq()
    with reserved_ports(1) as (port,):
        address = f"tcp://127.0.0.1:{port}"
        done = subprocess.run(
            ["php", EXAMPLES / "php" / "push.php", "--to", address, "news", "{}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"push.php: no wampush takes pushes at {address}\n"


@pytest.mark.parametrize("target", ["run", "example-chat", "example-orders", "example-php"])
def test_make_hands_every_port_on(target: str) -> None:
    """The command that a guide names; here it only says what it would do."""
    ports = {"WS_PORT": 1111, "ZMQ_PORT": 2222, "HTTP_PORT": 3333}
    if target != "run":
        ports["PAGE_PORT"] = 4444
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    asked = subprocess.run(
        [
            *("make", "--dry-run", "--always-make", target),
            *(f"{name}={port}" for name, port in ports.items()),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    command = asked.stdout.splitlines()[-1]
    if target == "run":
        assert " scripts/run_demo.py " in command
    else:
        assert f" examples/run.py {target.removeprefix('example-')} " in command
    for name, port in ports.items():
        option = f"--{name.lower().replace('_', '-')}"
        assert f" {option} {port} " in f"{command} "
    assert "test.lock" not in asked.stdout
