"""Debian's Chromium, driven by playwright, with nothing left of earlier tests each time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.support.waiting import PATIENCE, eventually

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MILLISECONDS = PATIENCE * 1000
# Five seconds otherwise, in which a browser on a busy machine may not even have drawn the page.
expect.set_options(timeout=MILLISECONDS)


class Browser:
    """One user's browser.

    Every error that a page does not catch is kept in ``errors``, everything that is logged to its
    console as an error in ``logged``.
    """

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(MILLISECONDS)
        self._context = context
        self.errors: list[str] = []
        self.logged: list[str] = []

    def open(self, url: str) -> Page:
        """Open ``url`` in a tab of its own."""
        page = self._context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._on_console)
        page.goto(url)
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.logged.append(message.text)


class BrowserProcess(Browser):
    """A browser with processes and a profile of its own."""

    def __init__(self, context: BrowserContext, profile: Path) -> None:
        super().__init__(context)
        self._profile = profile
        self.killed = False

    def _process(self) -> int:
        wanted = f"--user-data-dir={self._profile}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    arguments = (entry / "cmdline").read_bytes().split(b"\0")
                    if wanted in arguments and not any(a.startswith(b"--type=") for a in arguments):
                        return int(entry.name)
        message = "the browser is not running"
        raise AssertionError(message)

    def kill(self) -> None:
        """End all processes of the browser at once with SIGKILL."""
        pid = self._process()
        group = os.getpgid(pid)
        assert group != os.getpgid(0), "the browser shares the process group of the tests"
        self.killed = True
        os.killpg(group, signal.SIGKILL)
        eventually(lambda: Path(f"/proc/{pid}/exe").exists(), lambda alive: not alive)


def chromium() -> str:
    """Where Debian's Chromium is.

    :raises AssertionError: it is not installed; says how to install it.
    """
    found = shutil.which("chromium")
    assert found, "Chromium is missing: apt-get install chromium"
    return found


def headless_shell() -> str:
    """Where Chromium without its windows is; all of Chromium where Debian has no such package.

    Pages run in the same engine, with the same network. What is left out, such as the profiles of
    users, takes half of the time of a test.
    """
    return shutil.which("chromium-headless-shell") or chromium()


@contextlib.contextmanager
def running_chromium(driver: Playwright, program: str = "") -> Iterator[Chromium]:
    """Start a browser for several users one after the other, and end it after the block.

    :param program: the one that is started; the headless shell by default.
    """
    chromium_process = driver.chromium.launch(
        executable_path=program or headless_shell(),
        headless=True,
        args=[*FLAGS],
        timeout=MILLISECONDS,
    )
    try:
        yield chromium_process
    finally:
        chromium_process.close()


class Playing:
    """A browser and what drives it, for the tests of a process one after the other.

    From the start to the end, playwright has an event loop that runs in this thread.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._driver: Playwright | None = None
        self._chromium: Chromium | None = None

    def driver(self) -> Playwright:
        """What drives browsers, of which a process can run one only."""
        if self._driver is None:
            self._driver = self._stack.enter_context(sync_playwright())
        return self._driver

    def chromium(self) -> Chromium:
        """The browser; another one, if it has crashed."""
        if self._chromium is None or not self._chromium.is_connected():
            self._chromium = self._stack.enter_context(running_chromium(self.driver()))
        return self._chromium

    def end(self) -> None:
        """End both, if they run."""
        self._driver = self._chromium = None
        self._stack.close()


@contextlib.contextmanager
def new_user(running: Chromium, *, any_certificate: bool = False) -> Iterator[Browser]:
    """Use a running browser as somebody whose cookies, storage and cache are empty.

    :param any_certificate: whether it takes certificates that no authority has signed.
    """
    context = running.new_context(ignore_https_errors=any_certificate)
    try:
        yield Browser(context)
    finally:
        context.close()


@contextlib.contextmanager
def running_browser(
    driver: Playwright, profile: Path, *, any_certificate: bool = False, host_here: str = ""
) -> Iterator[BrowserProcess]:
    """Start a browser with its profile in the folder ``profile``, and end it after the block.

    :param driver: a process can run one only.
    :param any_certificate: whether it takes certificates that no authority has signed.
    :param host_here: a host name that it takes for this machine.
    """
    rules = [f"--host-resolver-rules=MAP {host_here} 127.0.0.1"] if host_here else []
    context = driver.chromium.launch_persistent_context(
        profile,
        executable_path=chromium(),
        headless=True,
        args=[*FLAGS, *rules],
        timeout=MILLISECONDS,
        ignore_https_errors=any_certificate,
    )
    browser = BrowserProcess(context, profile)
    try:
        yield browser
    finally:
        if not browser.killed:
            context.close()
