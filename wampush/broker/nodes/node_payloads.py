"""What nodes say to each other about people and about themselves, as JSON.

Owns: the form of these payloads and its checks. Pure: no I/O, no state.
Must not import: Twisted, the edges.

Readers ignore fields that they do not know. Everything else that is not as it should be is refused
as a whole, so that half a message is never believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard, TypeVar

import orjson

from wampush.broker.nodes.people import PeopleChange
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json

#: Characters of the longest name of a node, epoch and id of a question.
NAME_CHARACTERS: Final = 255
#: Numbers up to this are counted; what is above was not counted by a node.
MOST: Final = 2**53
#: The most figures in one beat, and patterns of watched topics.
MOST_FIGURES: Final = 1000
#: How deeply lists and objects in an answer may be nested. Those of nodes have 4 levels.
MOST_LEVELS: Final = 16

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a node says of itself every :data:`~.registry.BEAT_SECONDS`.

    :param node: its id; another process that goes on with its sessions has the same.
    :param epoch: names one run of :attr:`sequence`.
    :param sequence: how many changes of its people it has sent.
    :param name: for people who read logs and metrics.
    :param version: of wampush.
    :param watched: patterns of the topics whose occupation is reported to its applications.
    :param figures: numbers about the node, by name.
    :param is_new: whether it wants to know at once which nodes are there.
    """

    node: str
    epoch: str
    sequence: int
    name: str
    version: str = ""
    watched: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePayload:
    """A change of a node's people, or a part of everything that it has.

    :param node: as in :class:`Beat`.
    :param epoch: as in :class:`Beat`.
    :param sequence: of the change; for a part, of the newest change that is contained.
    :param part: the number of the part; None for a change.
    :param parts: how many parts there are.
    """

    node: str
    epoch: str
    sequence: int
    change: PeopleChange
    part: int | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a node asks all others.

    :param number: of the question, chosen by the node that asks.
    :param name: says what is asked.
    :param arguments: belong to it.
    """

    number: int
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node answers.

    :param node: as in :class:`Beat`.
    :param number: of the question.
    :param value: the answer; None if the node does not know such a question.
    """

    node: str
    number: int
    value: Any


def beat_payload(beat: Beat) -> bytes:
    """Return a beat as it travels."""
    return orjson.dumps(
        {
            "node": beat.node,
            "epoch": beat.epoch,
            "sequence": beat.sequence,
            "name": beat.name,
            "version": beat.version,
            "watched": beat.watched,
            "figures": beat.figures,
            "new": beat.is_new,
        }
    )


def read_beat(payload: bytes) -> Beat:
    """Read a beat.

    :raises PushRefused: NODE_FORM; it is none.
    """
    fields = _object(payload)
    watched = fields.get("watched", [])
    if not isinstance(watched, list) or len(watched) > MOST_FIGURES:
        raise refused("watched", watched)
    figures = _pairs(fields, "figures", _number)
    if len(figures) > MOST_FIGURES:
        raise refused("figures", figures)
    return Beat(
        node=_name(fields, "node"),
        epoch=_name(fields, "epoch"),
        sequence=_whole(fields, "sequence"),
        name=_name(fields, "name"),
        version=_name(fields, "version"),
        watched=tuple([_text("watched", each) for each in watched]),
        figures=figures,
        is_new=fields.get("new") is True,
    )


def people_payload(update: PeoplePayload) -> bytes:
    """Return a change of people as it travels.

    :raises orjson.JSONEncodeError: a name is not valid text.
    """
    change = update.change
    fields: dict[str, object] = {
        "node": update.node,
        "epoch": update.epoch,
        "sequence": update.sequence,
    }
    if update.part is not None:
        fields["part"], fields["parts"] = update.part, update.parts
    if change.sessions is not None:
        fields["sessions"] = change.sessions
    for name in _MAPPINGS:
        values = getattr(change, name)
        if values:
            fields[name] = values
    return orjson.dumps(fields)


_MAPPINGS: Final = ("users", "members", "anonymous", "occupied", "reported")


def read_people(payload: bytes) -> PeoplePayload:
    """Read a change of people, or a part.

    :raises PushRefused: NODE_FORM; it is none.
    """
    fields = _object(payload)
    part, parts = None, 0
    if "part" in fields:
        part, parts = _whole(fields, "part"), _whole(fields, "parts")
        if part >= parts:
            raise refused("part", part)
    change = PeopleChange(
        sessions=_whole(fields, "sessions") if "sessions" in fields else None,
        users=_pairs(fields, "users", _boolean),
        members=_pairs(fields, "members", _members),
        anonymous=_pairs(fields, "anonymous", _count),
        occupied=_pairs(fields, "occupied", _boolean),
        reported=_pairs(fields, "reported", _boolean),
    )
    return PeoplePayload(
        node=_name(fields, "node"),
        epoch=_name(fields, "epoch"),
        sequence=_whole(fields, "sequence"),
        change=change,
        part=part,
        parts=parts,
    )


def question_payload(question: Question) -> bytes:
    """Return a question as it travels.

    :raises orjson.JSONEncodeError: an argument is not valid text.
    """
    return orjson.dumps(
        {
            "question": question.number,
            "name": question.name,
            "arguments": question.arguments,
        }
    )


def read_question(payload: bytes) -> Question:
    """Read a question; its arguments are checked by what answers it.

    :raises PushRefused: NODE_FORM; it is none.
    """
    fields = _object(payload)
    arguments = fields.get("arguments")
    if not isinstance(arguments, dict):
        raise refused("arguments", arguments)
    return Question(
        number=_whole(fields, "question"), name=_name(fields, "name"), arguments=arguments
    )


def answer_payload(answer: Answer) -> bytes:
    """Return an answer as it travels.

    :raises orjson.JSONEncodeError: the value has no JSON form.
    """
    return orjson.dumps({"node": answer.node, "question": answer.number, "value": answer.value})


def read_answer(payload: bytes) -> Answer:
    """Read an answer; what its value means is checked by whoever has asked.

    One that is nested so deeply that it cannot be written as JSON again is refused.

    :raises PushRefused: NODE_FORM; it is none.
    """
    fields = _object(payload)
    value = fields.get("value")
    if not _is_flat(value, MOST_LEVELS):
        raise refused("value", value)
    return Answer(node=_name(fields, "node"), number=_whole(fields, "question"), value=value)


def _is_flat(value: object, levels: int) -> bool:
    """Return whether lists and objects are nested in at most so many levels."""
    if isinstance(value, dict):
        return levels > 0 and all(_is_flat(each, levels - 1) for each in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_flat(each, levels - 1) for each in value)
    return True


def bye_payload(node: str) -> bytes:
    """Return the goodbye of a node as it travels."""
    return orjson.dumps({"node": node})


def read_bye(payload: bytes) -> str:
    """Return the id of the node that says goodbye.

    :raises PushRefused: NODE_FORM; it is no goodbye.
    """
    return _name(_object(payload), "node")


def _object(payload: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise PushRefused(Refusal.NODE_FORM, f"Its payload: {error}.") from error
    if not isinstance(fields, dict):
        raise PushRefused(Refusal.NODE_FORM, f"Its payload is {shown_json(fields)}.")
    return fields


def refused(name: str, value: object) -> PushRefused:
    """Return what is wrong with a payload.

    :param name: of the field.
    :param value: that it has.
    """
    return PushRefused(Refusal.NODE_FORM, f"Its {name} is {shown_json(value)}.")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise refused(name, value)
    return value


def _name(fields: Mapping[str, Any], name: str) -> str:
    value = _text(name, fields.get(name))
    if len(value) > NAME_CHARACTERS or not value.isprintable():
        raise refused(name, value)
    return value


def _whole(fields: Mapping[str, Any], name: str) -> int:
    return _count(name, fields.get(name))


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value can be a number of things that a node has counted."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def _count(name: str, value: object) -> int:
    if not is_count(value):
        raise refused(name, value)
    return value


def _number(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refused(name, value)
    return value


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise refused(name, value)
    return value


def _members(name: str, value: object) -> dict[str, int | None]:
    if not isinstance(value, dict) or not value:
        raise refused(name, value)
    return {
        user: None if count is None else _count(f"{name} of a user", count)
        for user, count in value.items()
    }


def _pairs(
    fields: Mapping[str, Any], name: str, read: Callable[[str, object], Value]
) -> dict[str, Value]:
    values = fields.get(name)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise refused(name, values)
    return {key: read(name, value) for key, value in values.items()}
