"""The witness notes what a Redis sends, and comes back after a loss."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from bench.faults.installation import until
from bench.faults.records import Stamp
from bench.faults.witness import Witness
from bench.processes import free_ports
from bench.redis_server import Redis


async def _until_it_has(witness: Witness, count: int) -> None:
    await until(lambda: len(witness.stamps) >= count, f"{count} events are noted", 20)


async def _note(redis: Redis, witness: Witness) -> None:
    task = asyncio.create_task(witness.run())
    try:
        await asyncio.wait_for(witness.is_there.wait(), 20)
        assert redis.followers("a") == 0
        for text in (b"garbage", b'1{"node":"x","id":1}\n{"p":"q","n":1}'):
            redis.publish("a", text)
        redis.publish("other", b'1{"node":"x","id":1}\n{"p":"q","n":5}')
        await _until_it_has(witness, 1)
        redis.kill()
        redis.start()
        event = b'1{"node":"x","id":1}\n{"p":"q","n":2}'
        await until(lambda: redis.publish("a", event) > 0, "it is there again", 20)
        await _until_it_has(witness, 2)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_it_notes_the_events_of_its_topic(tmp_path: Path) -> None:
    with free_ports(1) as (port,):
        redis = Redis(tmp_path, port)
        redis.start()
        try:
            witness = Witness(port, "a")
            asyncio.run(_note(redis, witness))
            assert witness.stamps == [Stamp("q", 1), Stamp("q", 2)]
        finally:
            redis.stop()
