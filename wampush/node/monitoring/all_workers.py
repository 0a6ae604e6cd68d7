"""The metrics of all workers in one scrape.

Owns: how the texts of several workers become one. Must not import: Twisted, the edges.

All workers have the same port, so a scrape reaches any of them. Each sample gets the label
``worker``, as if Prometheus had scraped them one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

_UP: Final = "wampush_worker_up"


def joined(texts: Mapping[int, bytes | None]) -> bytes:
    """Return the metrics of all workers, in the text format of Prometheus.

    :param texts: the metrics of each worker; None for one that has not answered.
    """
    families: dict[str, list[str]] = {}
    heads: dict[str, list[str]] = {}
    for worker, text in sorted(texts.items()):
        for name, head, samples in _families((text or b"").decode().splitlines()):
            heads.setdefault(name, head)
            families.setdefault(name, []).extend(_labelled(each, worker) for each in samples)
    heads[_UP] = [
        f"# HELP {_UP} 1 while a worker answers the others, otherwise 0.",
        f"# TYPE {_UP} gauge",
    ]
    families[_UP] = [
        f'{_UP}{{worker="{worker}"}} {float(text is not None)}'
        for worker, text in sorted(texts.items())
    ]
    lines = [line for name, head in heads.items() for line in (*head, *families[name])]
    return "".join(f"{line}\n" for line in lines).encode()


def _families(lines: Iterable[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield name, comments and samples of each metric."""
    name, head, samples = "", list[str](), list[str]()
    for line in lines:
        if line.startswith("# HELP "):
            if name:
                yield name, head, samples
            name, head, samples = line.split(" ", 3)[2], [line], []
        elif line.startswith("#"):
            head.append(line)
        else:
            samples.append(line)
    if name:
        yield name, head, samples


def _labelled(sample: str, worker: int) -> str:
    """Return a sample with the label of the worker in front of its others, unless it has it."""
    brace, space = sample.find("{"), sample.find(" ")
    if brace < 0 or space < brace:
        return f'{sample[:space]}{{worker="{worker}"}}{sample[space:]}'
    if sample.startswith('{worker="', brace):
        return sample
    return f'{sample[:brace]}{{worker="{worker}",{sample[brace + 1 :]}'
