"""The options of a push, as JSON, and the audience that they ask for.

Owns: the options that backends, the command line and applications may give with a publication, and
the error messages for them. A PUBLISH of a client has lists of sessions instead, which
``wamp.codec`` reads. Must not import: Twisted, the edges.

The number of ids is limited only by the length of the message that contains them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from wampush.broker.publication import EVERYONE, Audience, Targets
from wampush.choices import PUSH_OPTIONS
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json

#: Topics that one push may name besides its own.
MAX_FURTHER_TOPICS: Final = 100
_KINDS: Final = ("users", "groups", "sessions")
_TARGETS: Final = (*_KINDS, "registered", "exclude")
_TARGET_EXAMPLE: Final = '{"users": ["7"]}'
#: The types that applications may use for a JSON list.
_LISTS: Final = (list, tuple, set, frozenset)
_NOBODY: Final[frozenset[str]] = frozenset()
_LONGEST_KEY: Final = 100


def audience_of(options: object) -> Audience:
    """Return the audience that options ask for.

    :param options: a JSON object with ``to``, ``exclude``, ``eligible`` and ``topics``, see
        ``docs/reference/wire.md``; a key that is missing or null restricts nothing.
    :returns: :data:`EVERYONE` if nothing restricts it.
    :raises PushRefused: BAD_OPTIONS, with the key at fault and what it must be.
    """
    table = _table(options, "", PUSH_OPTIONS, '{"to": {"users": ["7"]}}')
    exclude = _sessions(table.get("exclude"), "exclude")
    eligible = _sessions(table.get("eligible"), "eligible")
    to = targets_of(table.get("to"))
    if to is None and not exclude and eligible is None:
        return EVERYONE
    return Audience(exclude or _NOBODY, eligible, to)


def further_topics_of(options: object) -> tuple[str, ...]:
    """Return the further topics that options name, each once; their form is not checked.

    :param options: as of :func:`audience_of`, which has accepted them.
    :raises PushRefused: BAD_OPTIONS.
    """
    topics = options.get("topics") if isinstance(options, dict) else None
    if topics is None:
        return ()
    found = _list(topics, "topics", '["orders"]')
    if len(found) > MAX_FURTHER_TOPICS:
        raise PushRefused(
            Refusal.BAD_OPTIONS, f"topics has {len(found)} topics; {MAX_FURTHER_TOPICS} allowed."
        )
    return tuple(dict.fromkeys([_topic(each) for each in found]))


def _topic(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _refused("An element of topics", value, "a topic, which is a string")


def targets_of(to: object) -> Targets | None:
    """Return the users, groups and sessions that ``to`` names.

    :param to: a JSON object with ``users``, ``groups``, ``sessions``, ``registered`` and
        ``exclude``, or None.
    :returns: None if it restricts nothing.
    :raises PushRefused: as :func:`audience_of`.
    """
    if to is None:
        return None
    table = _table(to, "to", _TARGETS, _TARGET_EXAMPLE)
    registered = table.get("registered")
    if registered is not None and not isinstance(registered, bool):
        raise _refused("to.registered", registered, "true or false")
    exclude = table.get("exclude")
    without = {} if exclude is None else _table(exclude, "to.exclude", _KINDS, _TARGET_EXAMPLE)
    targets = Targets(
        _ids(table.get("users"), "to.users"),
        _ids(table.get("groups"), "to.groups"),
        _sessions(table.get("sessions"), "to.sessions"),
        bool(registered),
        _ids(without.get("users"), "to.exclude.users") or _NOBODY,
        _ids(without.get("groups"), "to.exclude.groups") or _NOBODY,
        _sessions(without.get("sessions"), "to.exclude.sessions") or _NOBODY,
    )
    return None if targets == _ALL else targets


_ALL: Final = Targets()


def _table(value: object, name: str, known: Sequence[str], example: str) -> Mapping[str, Any]:
    """Return a JSON object that has known keys only.

    :param name: of the key that contains it; "" for the options as a whole.
    """
    if not isinstance(value, dict):
        raise _refused(name, value, f"an object such as {example}")
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key)[:_LONGEST_KEY], known, 1)
            hint = f'; did you mean "{near[0]}"?' if near else "."
            raise PushRefused(
                Refusal.BAD_OPTIONS,
                f"Unknown key {shown_json(key)} in {name or 'the options'}{hint} "
                f"Known keys: {', '.join(known)}.",
            )
    return value


def _ids(value: object, name: str) -> frozenset[str] | None:
    """Return a list of users or groups as a set; None stays None.

    PHP applications that keep ids as numbers send 7, which is user "7".
    """
    if value is None:
        return None
    return frozenset(
        [each if type(each) is str else _id(each, name) for each in _list(value, name)]
    )


def _id(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    raise _refused(f"An element of {name}", value, "a string or a whole number")


def _sessions(value: object, name: str) -> frozenset[str] | None:
    """Return a list of session ids as a set; None stays None."""
    if value is None:
        return None
    return frozenset([_session(each, name) for each in _list(value, name)])


def _session(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    raise _refused(f"An element of {name}", value, "a session id, which is a string")


def _list(value: object, name: str, example: str = '["7"]') -> Collection[object]:
    if not isinstance(value, _LISTS):
        raise _refused(name, value, f"a list such as {example}")
    return value


def _refused(name: str, value: object, right: str) -> PushRefused:
    what = name or "The options"
    return PushRefused(Refusal.BAD_OPTIONS, f"{what} must be {right}, not {shown_json(value)}.")
