"""Which identity may subscribe, publish and call on which topic.

Owns: the ordered rules, what their placeholders stand for, the decision and its reason, the rate of
one session under one rule. Must not import: Twisted, the edges, the settings. The clock is handed
in.

The first rule decides that is about the action, for this identity, and covers the topic; without
one, the default of the action does. What a rule covers never depends on how an identity's values
are spelt: ``{user}`` and ``{group}`` stand for one value between separators, compared letter by
letter, and a value that holds one of the rule's own separators matches nothing. So user ``a`` can
not be granted the topics of user ``a.b``, nor can a user named ``*`` those of everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.broker.identity import Identity
from wampush.errors import Refusal

#: A session says by these calls who it is, so no rule is asked.
ALWAYS_CALLABLE: Final = frozenset(
    (
        "http://api.wamp.ws/procedure#authreq",
        "http://api.wamp.ws/procedure#auth",
        "wampush.refresh",
    )
)

ANYONE: Final = "anyone"
AUTHENTICATED: Final = "authenticated"
_PLACEHOLDER: Final = re.compile(r"\{(user|group)\}")


@unique
class Action(Enum):
    """What a client may want to do with a topic, or with a procedure."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    CALL = "call"


_FORBIDDEN: Final = MappingProxyType(
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


class TokenBucket:
    """A rate that allows a short burst: as many at once as in one second, at least one.

    :param rate: how many per second.
    :param now: the time in seconds.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more fits at this time; if so, it is counted."""
        # A clock set back gives nothing, and takes nothing away.
        elapsed = max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        # Ten tenths of a token add up to a little less than one.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True


class Rule:
    """One rule, made ready for many questions.

    :param number: its place among the rules, counted from 1.
    :param entry: what was configured.
    """

    __slots__ = (
        "_anyone",
        "_authenticated",
        "_groups",
        "_parts",
        "_users",
        "decisions",
        "entry",
        "is_prefix",
        "number",
        "separators",
        "stem",
    )

    def __init__(self, number: int, entry: Entry) -> None:
        self.number = number
        self.entry = entry
        #: Whether it covers all topics that begin with the stem, or only that one.
        self.is_prefix = entry.match.endswith("*")
        #: The pattern without its star.
        self.stem = entry.match[:-1] if self.is_prefix else entry.match
        # Text and placeholder names take turns, beginning and ending with text.
        self._parts = tuple(_PLACEHOLDER.split(self.stem))
        #: The characters next to placeholders; no value that holds one can match.
        self.separators = frozenset(
            "".join([part[-1:] for part in self._parts[:-1:2]])
            + "".join([part[:1] for part in self._parts[2::2]])
        )
        self._anyone = ANYONE in entry.to
        self._authenticated = AUTHENTICATED in entry.to
        self._users = _named(entry.to, "user:")
        self._groups = _named(entry.to, "group:")
        self.decisions: Mapping[Action, Decision] = {
            action: self._decision(action) for action in map(Action, entry.actions)
        }

    @property
    def has_placeholders(self) -> bool:
        """Whether what it covers differs between identities."""
        return len(self._parts) > 1

    def concerns(self, identity: Identity) -> bool:
        """Whether it is for this identity, whatever the topic."""
        if self._anyone:
            return True
        if identity.user and (self._authenticated or identity.user in self._users):
            return True
        return not self._groups.isdisjoint(identity.groups)

    def covers(self, identity: Identity, topic: str) -> bool:
        """Whether the pattern, with the identity's values in it, covers a topic."""
        if not self.has_placeholders:
            return topic.startswith(self.stem) if self.is_prefix else topic == self.stem
        if not topic.startswith(self._parts[0]):
            return False
        stems = self.stems(identity)
        if self.is_prefix:
            return any(topic.startswith(stem) for stem in stems)
        return any(topic == stem for stem in stems)

    def stems(self, identity: Identity) -> Iterator[str]:
        """The stem for each way to fill in the identity's values; none if one is missing."""
        if not self.has_placeholders:
            yield self.stem
            return
        names = self._parts[1::2]
        if "user" in names and not self.is_usable(identity.user):
            return
        if "group" not in names:
            yield self._filled(identity.user, None)
            return
        for group in identity.groups:
            if self.is_usable(group):
                yield self._filled(identity.user, group)

    def is_usable(self, value: str | None) -> bool:
        """Whether a value may stand for a placeholder: not empty, none of its separators in it."""
        return bool(value) and self.separators.isdisjoint(value or "")

    def resembles(self, topic: str) -> bool:
        """Whether it covers the topic for some identity; to explain, not to decide."""
        anything = f"[^{re.escape(''.join(sorted(self.separators)))}]+" if self.separators else ".+"
        texts = [re.escape(part) for part in self._parts[::2]]
        pattern = re.compile(anything.join(texts), re.DOTALL)
        found = pattern.match(topic) if self.is_prefix else pattern.fullmatch(topic)
        return found is not None

    def _filled(self, user: str | None, group: str | None) -> str:
        values = {"user": user or "", "group": group or ""}
        return "".join([values[part] if at % 2 else part for at, part in enumerate(self._parts)])

    def _decision(self, action: Action) -> Decision:
        entry = self.entry
        verb = "allows" if entry.allow else "denies"
        why = (
            f"permissions[{self.number}] {verb} {action.value} on {entry.match!r} "
            f"to {', '.join(entry.to)}"
        )
        refusal = None if entry.allow else _FORBIDDEN[action]
        return Decision(entry.allow, self.number, why, refusal, entry.per_second)


class Permissions:
    """The rules in force. Frozen: a change makes another one.

    :param entries: the rules in their order.
    :param defaults: what holds for each action where no rule decides, see :func:`usual`.
    :param now: the time in seconds, for rates; it never has to be the time of day.
    """

    __slots__ = ("_by_action", "_defaults", "_now", "rules")

    def __init__(
        self,
        entries: Iterable[Entry],
        defaults: Mapping[Action, Decision],
        now: Callable[[], float],
    ) -> None:
        self.rules: Sequence[Rule] = [Rule(number, each) for number, each in enumerate(entries, 1)]
        self._by_action = {
            action: tuple(rule for rule in self.rules if action in rule.decisions)
            for action in Action
        }
        self._defaults = defaults
        self._now = now

    def with_default(self, action: Action, allowed: bool) -> Permissions:
        """The same rules with another default for one action, for the same reason."""
        changed = _default(action, allowed, self._defaults[action].why)
        entries = [rule.entry for rule in self.rules]
        return Permissions(entries, {**self._defaults, action: changed}, self._now)

    def decide(self, identity: Identity, action: Action, topic: str, size: int = 0) -> Decision:
        """Whether this may be done; the rate is another question, see :meth:`spend`.

        :param topic: the resolved topic, or the URI of a procedure.
        :param size: bytes of the payload; of a call, bytes of its whole message.
        """
        if action is Action.CALL and topic in ALWAYS_CALLABLE:
            return _ALWAYS
        for rule in self._by_action[action]:
            if rule.concerns(identity) and rule.covers(identity, topic):
                most = rule.entry.max_bytes
                if most and size > most and rule.entry.allow and action in _TOO_LARGE:
                    return _too_large(rule, action, size)
                return rule.decisions[action]
        return self._defaults[action]

    def spend(self, decision: Decision, buckets: dict[int, TokenBucket]) -> Decision:
        """Count one allowed action against the rate of its rule.

        :param decision: what :meth:`decide` said.
        :param buckets: the session's own, by the number of the rule; one is added when needed.
        :returns: the same decision, or a refusal when the rate is exceeded.
        """
        if not decision.allowed or not decision.per_second or decision.rule is None:
            return decision
        now = self._now()
        bucket = buckets.get(decision.rule)
        if bucket is None:
            bucket = buckets[decision.rule] = TokenBucket(decision.per_second, now)
        if bucket.take(now):
            return decision
        why = f"{decision.why}, {decision.per_second:g} per second in one session"
        return replace(decision, allowed=False, why=why, refusal=Refusal.RATE_EXCEEDED)

    def effective(self, identity: Identity) -> Mapping[str, object]:
        """What this identity may do, as the permissions object of WAMP-CRA.

        ``{"pubsub": [{"uri", "prefix", "pub", "sub"}], "rpc": [{"uri", "call"}]}``; an entry of
        ``rpc`` that stands for all procedures that begin with its URI has ``"prefix": True`` too.
        The most specific entry is first, and the first that covers a topic tells what
        :meth:`decide` would say; where none does, nothing is allowed.
        """
        pubsub = self._grants(identity, (Action.PUBLISH, Action.SUBSCRIBE))
        rpc = self._grants(identity, (Action.CALL,))
        return {
            "pubsub": [
                {"uri": uri, "prefix": prefix, "pub": pub, "sub": sub}
                for (uri, prefix), (pub, sub) in pubsub
            ],
            "rpc": [
                {"uri": uri, "call": call, **({"prefix": True} if prefix else {})}
                for (uri, prefix), (call,) in rpc
            ],
        }

    def _grants(
        self, identity: Identity, actions: Sequence[Action]
    ) -> list[tuple[tuple[str, bool], tuple[bool, ...]]]:
        """Patterns from narrow to wide with what holds for all of each but the narrower ones.

        Stems and prefixes lie in each other or apart. So the narrowest pattern around a topic lies
        in every other one around it, and what decides for it as a whole decides for the topic.
        """
        rules = [rule for rule in self.rules if rule.concerns(identity)]
        patterns = [
            (stem, rule.is_prefix, rule)
            for rule in rules
            if any(action in rule.decisions for action in actions)
            for stem in rule.stems(identity)
        ]
        found: dict[tuple[str, bool], tuple[bool, ...]] = {}
        for uri, prefix in sorted(
            {(stem, wide) for stem, wide, _ in patterns} | {("", True)},
            key=lambda each: (not each[1], len(each[0]), each[0]),
        ):
            flags = tuple(
                next(
                    (
                        rule.entry.allow
                        for stem, wide, rule in patterns
                        if action in rule.decisions and _lies_in(uri, prefix, stem, wide)
                    ),
                    self._defaults[action].allowed,
                )
                for action in actions
            )
            around = [each for each in found if _lies_in(uri, prefix, *each)]
            inherited = found[max(around, key=lambda each: len(each[0]))] if around else None
            if flags != (inherited or (False,) * len(actions)):
                found[uri, prefix] = flags
        return sorted(found.items(), key=lambda each: (each[0][1], -len(each[0][0]), each[0][0]))


_ALWAYS: Final = Decision(True, None, "always callable, because a session says by it who it is")


def usual(
    subscribe: str = "allow", publish: str = "auto", call: str = "allow"
) -> dict[Action, Decision]:
    """What holds where no rule decides, as ``[clients]`` says it.

    :param publish: ``auto`` counts as ``never`` until :meth:`Permissions.with_default`.
    """
    words = {Action.SUBSCRIBE: subscribe, Action.PUBLISH: publish, Action.CALL: call}
    return {
        action: _default(action, word in ("allow", "always"), f'clients.{action.value} = "{word}"')
        for action, word in words.items()
    }


def _default(action: Action, allowed: bool, why: str) -> Decision:
    return Decision(allowed, None, why, None if allowed else _FORBIDDEN[action])


def _named(to: Iterable[str], kind: str) -> frozenset[str]:
    return frozenset(each.removeprefix(kind) for each in to if each.startswith(kind))


def _too_large(rule: Rule, action: Action, size: int) -> Decision:
    decision = rule.decisions[action]
    why = f"{decision.why}, at most {rule.entry.max_bytes} bytes; it had {size}"
    return Decision(False, rule.number, why, _TOO_LARGE[action])


def _lies_in(uri: str, prefix: bool, stem: str, wide: bool) -> bool:
    """Whether one pattern covers no topic that another one does not."""
    return uri.startswith(stem) if wide else not prefix and uri == stem
