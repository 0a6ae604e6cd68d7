"""Scenario of a server that is killed: kills.

Owns: its load and its figures. Must not import: other scenarios.

A publisher pushes to a durable topic over HTTP, one push after the other on each of several
connections, and notes every position that it gets in a response. The server is killed with SIGKILL
in between, and started again on the same database. In the end a client reads the whole topic: each
acknowledged push must be there at its position, and offsets must have no gap and no double.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.native import BenchError
from bench.peer import frame, open_session, receive
from bench.processes import Server, wampush
from bench.run import Run
from bench.table import Row

_TOPIC: Final = "orders"
_KILLS: Final = 100
#: Connections that push at the same time.
_CONNECTIONS: Final = 8
#: Seconds from the begin of the load to the kill: some, so that kills hit any step of a write.
_LEAST_SECONDS: Final = 0.1
_MOST_SECONDS: Final = 0.4
_PAGE: Final = 1000
_TIMEOUT: Final = 10.0


@dataclass(slots=True)
class _Acknowledged:
    """What a publisher knows.

    :ivar pushes: the number of each acknowledged push, by the epoch and offset in the answer.
    :ivar sent: how many pushes there were, acknowledged or not.
    :ivar doubles: positions that were acknowledged twice.
    :ivar refused: responses that were not expected.
    """

    pushes: dict[tuple[str, int], int] = field(default_factory=dict)
    sent: int = 0
    doubles: int = 0
    refused: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_number(self) -> int:
        """Return the number of the next push."""
        with self.lock:
            self.sent += 1
            return self.sent

    def note(self, number: int, answer: dict[str, Any]) -> None:
        """Note a response."""
        position = (str(answer["epoch"]), int(answer["offset"]))
        with self.lock:
            self.doubles += position in self.pushes
            self.pushes[position] = number


def kills(run: Run) -> Iterator[Row]:
    """100 times kill -9 under load; nothing that was acknowledged is lost, and offsets go on."""
    count = run.size(_KILLS, 2)
    lost: list[float] = []
    faults: list[float] = []
    acknowledged: list[float] = []
    for _ in range(run.rounds):
        with run.folder_on_disk() as name:
            known = _Acknowledged()
            config = _config(Path(name))
            for _ in range(count):
                with wampush(run.folder, http=True, config=config) as server:
                    _push_until_killed(server, known)
            with wampush(run.folder, http=True, config=config) as server:
                missing, wrong = _compare(server, known)
        lost.append(missing)
        faults.append(wrong)
        acknowledged.append(len(known.pushes))
    what = f"{count} kills"
    yield Row("kills", f"{what}: acknowledged pushes lost", lost, [], digits=0)
    yield Row("kills", f"{what}: offsets missing or given twice", faults, [], digits=0)
    yield Row("kills", f"{what}: pushes acknowledged", acknowledged, [], digits=0)


def _config(folder: Path) -> Path:
    path = folder / "kills.toml"
    path.write_text(
        f'[history]\ndatabase = "{folder}/history.sqlite"\nmax_bytes = {2**30}\n'
        f'[[topics]]\nmatch = "{_TOPIC}"\nhistory = 10_000_000\nmax_bytes = {2**30}\n'
        "durable = true\n"
    )
    return path


def _push_until_killed(server: Server, known: _Acknowledged) -> None:
    """Push on several connections, and kill the server meanwhile."""
    threads = [
        threading.Thread(target=_push, args=(server.http, known), daemon=True)
        for _ in range(_CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(random.uniform(_LEAST_SECONDS, _MOST_SECONDS))
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    for thread in threads:
        thread.join(_TIMEOUT)
        if thread.is_alive():
            raise BenchError("a publisher did not notice that the server was killed")
    if known.refused:
        raise BenchError(f"a push was refused: {known.refused[0]!r}")


def _push(port: int, known: _Acknowledged) -> None:
    """Push one number after the other, until the connection fails."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)) as connection:
        while True:
            number = known.next_number()
            try:
                connection.request("POST", f"/publish/{_TOPIC}", b"%d" % number)
                response = connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException):
                return
            if response.status != http.client.OK:
                known.refused.append(text)
                return
            known.note(number, json.loads(text))


def _compare(server: Server, known: _Acknowledged) -> tuple[int, int]:
    """Return how many acknowledged pushes are lost, and how many offsets are wrong."""
    # The epoch is the same all the time, or nothing that was acknowledged is found.
    position = {"epoch": next(iter(known.pushes), ("", 0))[0], "offset": 0}
    kept: list[int] = []
    faults = known.doubles
    with closing(open_session(server.port)) as session:
        while True:
            options = {"since": position, "limit": _PAGE}
            session.sendall(
                frame(json.dumps([2, "1", "wampush.history", _TOPIC, options]).encode())
            )
            answer = json.loads(receive(session))[2]
            for event in answer["events"]:
                kept.append(event["data"])
                faults += event["offset"] != len(kept)
            position = {"epoch": answer["epoch"], "offset": len(kept)}
            if answer["complete"] or not answer["events"]:
                break
    faults += answer["offset"] != len(kept)
    lost = sum(
        epoch != position["epoch"] or kept[offset - 1 : offset] != [number]
        for (epoch, offset), number in known.pushes.items()
    )
    return lost, faults
