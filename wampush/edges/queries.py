"""The queries of requests over HTTP.

Owns: their parameters and limits. Pure.
Must not import: anything of wampush but ``excerpts`` and ``problems``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from wampush.edges.problems import RequestRefused
from wampush.excerpts import shown_json


def parameters(query: str, known: Collection[str], *, others: bool = False) -> dict[str, str]:
    """Return the parameters of a query.

    :param query: as sent, without the question mark.
    :param known: the names that there may be.
    :param others: whether there may be others, which are left out.
    :raises RequestRefused: one is unknown, there twice, or not UTF-8.
    """
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestRefused(400, "the query is not UTF-8") from None
    for key, value in pairs:
        if key not in known and others:
            continue
        if key not in known:
            names = ", ".join(known) or "none"
            raise RequestRefused(400, f"the query has {shown_json(key)}; known keys are {names}")
        if key in values:
            raise RequestRefused(400, f"the query has {key} more than once")
        values[key] = value
    return values


def limit(values: Mapping[str, str], default: int, most: int) -> int:
    """Return the parameter ``limit``.

    :param default: without the parameter.
    :param most: the greatest that is allowed, at most four digits.
    :raises RequestRefused: it is not a number from 1 to ``most``.
    """
    text = values.get("limit", str(default))
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= most:
        return int(text)
    raise RequestRefused(400, f"limit must be a number from 1 to {most}, not {shown_json(text)}")
