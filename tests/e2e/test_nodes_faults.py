"""Three daemons and a real Redis under load, with faults; a checker judges what everybody noted.

The faults, the load and the checker are those of ``python -m bench nodes-faults``, which inflicts
longer ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from bench.faults.faults import FAULTS, Times, run_fault
from bench.faults.installation import Installation, running
from bench.faults.load import Load, Size

Result = TypeVar("Result")
#: So little that a busy machine keeps up.
SIZE = Size(readers=1, pause=0.03, calm=4, patience=2.0)


class Nodes:
    """The installation, and the event loop that its proxies run in."""

    def __init__(self, runner: asyncio.Runner, installation: Installation) -> None:
        self._runner = runner
        self._installation = installation

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(coroutine)

    async def inflict(self, fault: str) -> list[str]:
        async with Load(self._installation, SIZE) as load:
            return await run_fault(self._installation, load, fault, Times())


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with asyncio.Runner() as runner:
        context = running(tmp_path_factory.mktemp("nodes"))
        installation = runner.run(_begun(context))
        try:
            yield Nodes(runner, installation)
        finally:
            runner.run(_ended(context))


async def _begun(context: Any) -> Installation:
    installation: Installation = await context.__aenter__()
    return installation


async def _ended(context: Any) -> None:
    await context.__aexit__(None, None, None)


@pytest.mark.parametrize("fault", FAULTS)
def test_promises_hold(nodes: Nodes, fault: str) -> None:
    assert nodes.run(nodes.inflict(fault)) == []
