"""Parts of a JSON text, cut out without decoding them.

Owns: where the elements of a JSON list, and the members of an object, begin and end in its text.
Must not import: anything of wampush but ``errors``.

Decoding an event and encoding it again would change it: 1.0 could become 1, and long integers lose
digits. So an event is a slice of the text in which it arrived.
"""

from __future__ import annotations

import json
import re
from typing import Final

from wampush.errors import MessageRefused, Refusal

# Strings are matched first, so that brackets and commas inside them do not count.
_STRUCTURE: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]')
# The text of a PUBLISH up to its third element, the event.
_BEFORE_EVENT: Final = re.compile(rb'\A\s*\[\s*7\s*,\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*,\s*')
# The key of a member, with its colon.
_KEY: Final = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*')
_DECODER: Final = json.JSONDecoder()


def raw_elements(text: bytes) -> list[bytes]:
    """Return the elements of a JSON list, or the members of an object, as slices of its text.

    :param text: a valid JSON list or object; validity is not checked here.
    """
    depth = 0
    start = 0
    elements: list[bytes] = []
    for match in _STRUCTURE.finditer(text):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth == 1:
                start = match.end()
        elif token in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                elements.append(text[start : match.start()].strip())
        elif token == b"," and depth == 1:
            elements.append(text[start : match.start()].strip())
            start = match.end()
    return elements


def raw_members(text: bytes) -> dict[str, bytes]:
    """Return the values of a JSON object by their keys, as slices of its text.

    Of several members with one key, the last one counts, as it does when the text is decoded.

    :param text: a valid JSON object; validity is not checked here.
    """
    members: dict[str, bytes] = {}
    for member in raw_elements(text):
        found = _KEY.match(member)
        if found is not None:
            members[json.loads(found[1])] = member[found.end() :]
    return members


def published_event(text: bytes, count: int) -> bytes:
    """Return the event of a PUBLISH as a slice of its text.

    Gives the same as :func:`raw_elements`, which takes twenty times as long for a long event with
    many brackets.

    :param text: a PUBLISH in valid JSON, whose second element is a string.
    :param count: the number of its elements.
    :raises MessageRefused: when more elements follow an event that is nested too deeply to find its
        end.
    """
    rest = _BEFORE_EVENT.sub(b"", text, count=1)
    if count == 3:
        return rest.rstrip()[:-1].rstrip()
    characters = rest.decode()
    try:
        _, end = _DECODER.raw_decode(characters)
    except RecursionError as error:
        raise MessageRefused(Refusal.MESSAGE_NOT_JSON, "The event is nested too deeply.") from error
    return characters[:end].encode()
