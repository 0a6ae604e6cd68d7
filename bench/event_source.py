"""Scenario of a page with EventSource that is cut off again and again: event-source.

Owns: its load and its figures. Must not import: other scenarios.

The page runs in Chromium, behind a proxy that aborts its connection each time that events have come
again. What the page got is compared with what was pushed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from playwright.sync_api import Page, sync_playwright

from bench.processes import wampush
from bench.run import Run
from bench.table import Row
from tests.support.browser import new_user, running_chromium
from tests.support.delay import DelayingProxy
from tests.support.pages import page_server
from tests.support.steady_pusher import SteadyPusher
from tests.support.waiting import eventually

_CUTS: Final = 100
_PER_SECOND: Final = 500
_PATIENCE_SECONDS: Final = 30.0
_PAGE: Final = """
<!doctype html><script>
const seen = [];
let gaps = 0;
const source = new EventSource("URL/events?topic=orders");
source.onmessage = (event) => seen.push(JSON.parse(event.data));
source.addEventListener("wampush.gap", () => { gaps += 1; });
</script>
"""
_CONFIG: Final = """
[websocket]
event_stream_retry = 0.05
[[topics]]
match = "orders"
history = 100_000
"""


def event_source(run: Run) -> Iterator[Row]:
    """A page in Chromium that is cut off 100 times under 500 events/s gets each event once."""
    cuts = run.size(_CUTS, 2)
    figures: dict[str, list[float]] = {"events": [], "missing": [], "twice or misplaced": []}
    for _ in range(run.rounds):
        sent, seen = _cut_often(run, cuts)
        figures["events"].append(len(sent))
        figures["missing"].append(len(set(sent) - set(seen)))
        in_order = sorted(set(seen) & set(sent))
        misplaced = len(seen) - len(set(seen)) + (list(dict.fromkeys(seen)) != in_order)
        figures["twice or misplaced"].append(misplaced)
    for name, values in figures.items():
        yield Row("event-source", f"{cuts} cuts: {name}", values, [], digits=0)


def _cut_often(run: Run, cuts: int) -> tuple[list[int], list[int]]:
    """Return what was pushed, and what the page got."""
    path = run.folder / "event-source.toml"
    path.write_text(_CONFIG)
    with ExitStack() as stack:
        server = stack.enter_context(wampush(run.folder, config=path))
        proxy = stack.enter_context(DelayingProxy(server.port, 0.0).running())
        page_text = _PAGE.replace("URL", f"http://127.0.0.1:{proxy.port}")
        pages = stack.enter_context(page_server({"/page.html": page_text.encode()}))
        chromium = stack.enter_context(running_chromium(stack.enter_context(sync_playwright())))
        page = stack.enter_context(new_user(chromium)).open(f"{pages.url}/page.html")
        page.wait_for_function("source.readyState === EventSource.OPEN")
        with SteadyPusher(server.feed, ["orders"], _PER_SECOND) as pusher:
            for _ in range(cuts):
                before = page.evaluate("seen.length")
                page.wait_for_function("before => seen.length > before", arg=before, polling=20)
                connections = proxy.connections
                proxy.cut()
                eventually(lambda: proxy.connections, connections.__lt__)
        sent = [number for _, number in pusher.sent]
        return sent, _seen(page, len(sent))


def _seen(page: Page, count: int) -> list[int]:
    """Return what the page has got once it has as much as was sent, or after a while."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while page.evaluate("seen.length") < count and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    # So that what comes too often is seen, too.
    page.wait_for_timeout(200)
    seen: list[int] = page.evaluate("seen")
    return seen
