"""One rule of the permissions, and the answer to whether something is allowed.

Owns: what a rule covers for an identity, how decisions are worded. Must not import: Twisted, the
edges, the settings.

What a rule covers never depends on how an identity's values are spelt (see ``placeholders``); they
are compared letter by letter. So user ``a`` can not be granted the topics of user ``a.b``, nor can
a user named ``*`` those of everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.broker.access.placeholders import Placeholders
from wampush.broker.identity import Identity
from wampush.errors import Refusal

ANYONE: Final = "anyone"
AUTHENTICATED: Final = "authenticated"
#: As many receivers are named in a reason, so that lines of the log stay short.
_NAMED: Final = 5


@unique
class Action(Enum):
    """What a client may want to do with a topic, or with a procedure."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    CALL = "call"


#: The reason of a refusal, for each action.
FORBIDDEN: Final = MappingProxyType(
    {
        Action.SUBSCRIBE: Refusal.SUBSCRIBE_FORBIDDEN,
        Action.PUBLISH: Refusal.PUBLISH_FORBIDDEN,
        Action.CALL: Refusal.CALL_FORBIDDEN,
    }
)
_TOO_LARGE: Final = MappingProxyType(
    {Action.PUBLISH: Refusal.PUBLISH_TOO_LARGE, Action.CALL: Refusal.CALL_TOO_LARGE}
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one question.

    :param allowed: whether it may be done.
    :param rule: the number of the deciding rule, counted from 1; None for the default.
    :param why: what decided, for people; without values of the identity or the topic.
    :param refusal: the row of the table of reasons; None when it is allowed.
    :param per_second: how often it is allowed in one session; 0 for no limit.
    """

    allowed: bool
    rule: int | None
    why: str
    refusal: Refusal | None = None
    per_second: float = 0.0


class Entry(Protocol):
    """One rule as it is configured; ``settings.PermissionSettings`` says what each part means."""

    @property
    def match(self) -> str:
        """A topic, or a prefix that ends in ``*``; with placeholders."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Values of :class:`Action`."""

    @property
    def to(self) -> tuple[str, ...]:
        """``anyone``, ``authenticated``, ``user:ID``, ``group:NAME``."""

    @property
    def allow(self) -> bool:
        """Whether the rule allows or denies."""

    @property
    def max_bytes(self) -> int:
        """The longest payload in bytes; 0 for no limit."""

    @property
    def per_second(self) -> float:
        """How often in one session; 0 for no limit."""


class Rule:
    """One rule, made ready for many questions.

    :param number: its place among the rules, counted from 1.
    :param entry: what was configured.
    """

    __slots__ = (
        "_anyone",
        "_authenticated",
        "_groups",
        "_pattern",
        "_users",
        "decisions",
        "entry",
        "is_prefix",
        "number",
        "stem",
    )

    def __init__(self, number: int, entry: Entry) -> None:
        self.number = number
        self.entry = entry
        #: Whether it covers all topics that begin with the stem, or only that one.
        self.is_prefix = entry.match.endswith("*")
        #: The pattern without its star.
        self.stem = entry.match[:-1] if self.is_prefix else entry.match
        self._pattern = Placeholders(self.stem)
        self._anyone = ANYONE in entry.to
        self._authenticated = AUTHENTICATED in entry.to
        self._users = _named(entry.to, "user:")
        self._groups = _named(entry.to, "group:")
        self.decisions: Mapping[Action, Decision] = {
            action: self._decision(action) for action in map(Action, entry.actions)
        }

    @property
    def receivers(self) -> str:
        """Whom it is for, in words; the first few of many."""
        to = self.entry.to
        more = f" and {len(to) - _NAMED} more" if len(to) > _NAMED else ""
        return ", ".join(to[:_NAMED]) + more

    @property
    def separators(self) -> frozenset[str]:
        """The characters next to placeholders; no value that holds one can match."""
        return self._pattern.separators

    def concerns(self, identity: Identity) -> bool:
        """Whether it is for this identity, whatever the topic."""
        if self._anyone:
            return True
        if identity.user and (self._authenticated or identity.user in self._users):
            return True
        return not self._groups.isdisjoint(identity.groups)

    def covers(self, identity: Identity, topic: str) -> bool:
        """Whether the pattern, with the identity's values in it, covers a topic."""
        texts = self._pattern.texts
        if len(texts) == 1:
            return topic.startswith(self.stem) if self.is_prefix else topic == self.stem
        if not topic.startswith(texts[0]):
            return False
        stems = self.stems(identity)
        if self.is_prefix:
            return any(topic.startswith(stem) for stem in stems)
        return any(topic == stem for stem in stems)

    def stems(self, identity: Identity) -> Iterator[str]:
        """The stem for each way to fill in the identity's values; none if one is missing."""
        return self._pattern.filled(identity)

    def is_usable(self, value: str | None) -> bool:
        """Whether a value may stand for a placeholder: not empty, none of its separators in it."""
        return self._pattern.is_usable(value)

    def decide(self, action: Action, size: int) -> Decision:
        """Its answer, for what it concerns and covers.

        :param size: bytes of the payload.
        """
        decision = self.decisions[action]
        most = self.entry.max_bytes
        if size <= most or not most or not decision.allowed or action not in _TOO_LARGE:
            return decision
        why = f"{decision.why}, at most {most} bytes; it had {size}"
        return Decision(False, self.number, why, _TOO_LARGE[action])

    def resembles(self, topic: str) -> bool:
        """Whether it covers the topic for some identity; to explain, not to decide."""
        anything = f"[^{re.escape(''.join(sorted(self.separators)))}]+" if self.separators else ".+"
        texts = [re.escape(part) for part in self._pattern.texts]
        pattern = re.compile(anything.join(texts), re.DOTALL)
        found = pattern.match(topic) if self.is_prefix else pattern.fullmatch(topic)
        return found is not None

    def _decision(self, action: Action) -> Decision:
        entry = self.entry
        verb = "allows" if entry.allow else "denies"
        why = (
            f"permissions[{self.number}] {verb} {action.value} on {entry.match!r} "
            f"to {self.receivers}"
        )
        refusal = None if entry.allow else FORBIDDEN[action]
        return Decision(entry.allow, self.number, why, refusal, entry.per_second)


def _named(to: Iterable[str], kind: str) -> frozenset[str]:
    return frozenset(each.removeprefix(kind) for each in to if each.startswith(kind))
