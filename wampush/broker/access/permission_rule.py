"""One rule of the permissions, and the decision it leads to.

Owns: which identities and topics a rule applies to, how decisions are worded.
Must not import: Twisted, the edges, the settings.

An identity's values are compared literally (see ``placeholders``). User ``a`` therefore cannot be
granted the topics of user ``a.b``, nor can a user whose id is ``*`` get those of everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from wampush.broker.access.placeholders import TopicExpander
from wampush.broker.identity import Identity
from wampush.choices import ANYONE, AUTHENTICATED, GROUP, USER, Action
from wampush.errors import Refusal

#: How many receivers a reason names, so that log lines stay short.
_NAMED: Final = 5

#: The reason for a refusal, by action.
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
class AccessDecision:
    """The decision about one action.

    :param allowed: whether the action is allowed.
    :param rule: the number of the deciding rule, counted from 1; None for the default.
    :param why: what decided, for people; contains no values of the identity or the topic.
    :param refusal: the row of the table of reasons; None when the action is allowed.
    :param per_second: how often the action is allowed in one session; 0 for no limit.
    """

    allowed: bool
    rule: int | None
    why: str
    refusal: Refusal | None = None
    per_second: float = 0.0


class PermissionEntry(Protocol):
    """One rule as it is configured; ``PermissionSettings`` documents the fields for users."""

    @property
    def match(self) -> str:
        """A topic, or a prefix that ends in ``*``; may contain placeholders."""

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
        """The longest payload, in bytes; 0 for no limit."""

    @property
    def per_second(self) -> float:
        """How often one session may do it; 0 for no limit."""


class Rule:
    """One rule of the permissions, prepared for many decisions.

    :param number: its place among the rules, counted from 1.
    :param entry: what was configured.
    """

    __slots__ = (
        "_anyone",
        "_authenticated",
        "_expander",
        "_groups",
        "_users",
        "decisions",
        "entry",
        "is_prefix",
        "number",
        "stem",
    )

    def __init__(self, number: int, entry: PermissionEntry) -> None:
        self.number = number
        self.entry = entry
        #: Whether the rule is about all topics that begin with the stem, or only about the stem.
        self.is_prefix = entry.match.endswith("*")
        #: The pattern without its star.
        self.stem = entry.match[:-1] if self.is_prefix else entry.match
        self._expander = TopicExpander(self.stem)
        self._anyone = ANYONE in entry.to
        self._authenticated = AUTHENTICATED in entry.to
        self._users = _without_prefix(entry.to, USER)
        self._groups = _without_prefix(entry.to, GROUP)
        self.decisions: Mapping[Action, AccessDecision] = {
            action: self._decision(action) for action in map(Action, entry.actions)
        }

    @property
    def receivers(self) -> str:
        """The receivers as text for people; of many, the first few."""
        to = self.entry.to
        more = f" and {len(to) - _NAMED} more" if len(to) > _NAMED else ""
        return ", ".join(to[:_NAMED]) + more

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The placeholders of the pattern: ``user``, ``group``."""
        return self._expander.names

    @property
    def separators(self) -> frozenset[str]:
        """The characters next to placeholders; a value that contains one never matches."""
        return self._expander.separators

    def applies_to(self, identity: Identity) -> bool:
        """Return whether an identity is among the receivers, whatever the topic."""
        if self._anyone:
            return True
        if identity.user and (self._authenticated or identity.user in self._users):
            return True
        return not self._groups.isdisjoint(identity.groups)

    def matches(self, identity: Identity, topic: str) -> bool:
        """Return whether the pattern, with the identity's values inserted, matches a topic."""
        literals = self._expander.literals
        if len(literals) == 1:
            return topic.startswith(self.stem) if self.is_prefix else topic == self.stem
        if not topic.startswith(literals[0]):
            return False
        stems = self.stems(identity)
        if self.is_prefix:
            return any(topic.startswith(stem) for stem in stems)
        return any(topic == stem for stem in stems)

    def stems(self, identity: Identity) -> Iterator[str]:
        """Return the stem for each way to insert the identity's values; see ``expand``."""
        return self._expander.expand(identity)

    def accepts(self, value: str | None) -> bool:
        """Return whether a value can replace a placeholder: not empty, without a separator."""
        return self._expander.accepts(value)

    def decide(self, action: Action, size: int) -> AccessDecision:
        """Return the decision for an identity it applies to and a topic it matches.

        :param size: of the payload, in bytes.
        """
        decision = self.decisions[action]
        limit = self.entry.max_bytes
        if size <= limit or not limit or not decision.allowed or action not in _TOO_LARGE:
            return decision
        why = f"{decision.why}, at most {limit} bytes; it had {size}"
        return AccessDecision(False, self.number, why, _TOO_LARGE[action])

    def could_match(self, topic: str) -> bool:
        """Return whether the rule matches a topic for some identity; explains, decides nothing."""
        value = f"[^{re.escape(''.join(sorted(self.separators)))}]+" if self.separators else ".+"
        literals = [re.escape(part) for part in self._expander.literals]
        pattern = re.compile(value.join(literals), re.DOTALL)
        found = pattern.match(topic) if self.is_prefix else pattern.fullmatch(topic)
        return found is not None

    def _decision(self, action: Action) -> AccessDecision:
        entry = self.entry
        verb = "allows" if entry.allow else "denies"
        why = f"permissions[{self.number}] {verb} {action} on {entry.match!r} to {self.receivers}"
        refusal = None if entry.allow else FORBIDDEN[action]
        return AccessDecision(entry.allow, self.number, why, refusal, entry.per_second)


def _without_prefix(to: Iterable[str], prefix: str) -> frozenset[str]:
    return frozenset(each.removeprefix(prefix) for each in to if each.startswith(prefix))
