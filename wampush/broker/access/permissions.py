"""Which identity may subscribe, publish and call on which topic.

Owns: the order of the rules, the defaults, the rate of one session under one rule, the permissions
object of WAMP-CRA. Must not import: Twisted, the edges, the settings. The clock is handed in.

The first rule decides that is about the action, for this identity, and covers the topic; without
one, the default of the action does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from wampush.broker.access.rule import FORBIDDEN, Action, Decision, Entry, Rule
from wampush.broker.identity import Identity
from wampush.errors import Refusal
from wampush.wamp.cra import PROCEDURE_AUTH, PROCEDURE_AUTHREQ
from wampush.wamp.uris import (
    PRESENCE_CHANGES,
    PROCEDURE_REFRESH,
    PROCEDURE_SESSION,
    PROCEDURE_TIME,
)

__all__ = [
    "ALWAYS_CALLABLE",
    "PROOFS",
    "Action",
    "Decision",
    "Entry",
    "Permissions",
    "Rule",
    "TokenBucket",
    "usual",
]

#: A session says by these calls who it is.
PROOFS: Final = frozenset((PROCEDURE_AUTHREQ, PROCEDURE_AUTH, PROCEDURE_REFRESH))
#: No rule is asked for these: they concern the session itself, and who wonders why something is
#: refused has to learn what is allowed.
ALWAYS_CALLABLE: Final = PROOFS | {PROCEDURE_SESSION, PROCEDURE_TIME}


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

        Who is on a topic is told to those only who may have the topic itself.

        :param topic: the resolved topic, or the URI of a procedure.
        :param size: bytes of the payload; of a call, bytes of its whole message.
        """
        if action is Action.CALL and topic in ALWAYS_CALLABLE:
            return _ALWAYS
        if action is Action.SUBSCRIBE and topic.startswith(PRESENCE_CHANGES):
            watched = self._decide(identity, action, topic[len(PRESENCE_CHANGES) :], size)
            if not watched.allowed:
                return watched
        return self._decide(identity, action, topic, size)

    def _decide(self, identity: Identity, action: Action, topic: str, size: int) -> Decision:
        for rule in self._by_action[action]:
            if rule.covers(identity, topic) and rule.concerns(identity):
                return rule.decide(action, size)
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
        :meth:`decide` would say; where none does, nothing is allowed. Joins and leaves of a topic
        need the topic too.
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
        """Patterns from narrow to wide, with what holds for all of each but the narrower ones.

        Stems and prefixes lie in each other or apart. So the narrowest pattern around a topic lies
        in every other one around it, and what decides for it as a whole decides for the topic.
        """
        rules = [rule for rule in self.rules if rule.concerns(identity)]
        first = {
            action: _first_rules(identity, [rule for rule in rules if action in rule.decisions])
            for action in actions
        }
        patterns = {("", True)}.union(*first.values())
        lengths = sorted({len(stem) for stem, wide in patterns if wide}, reverse=True)
        told: dict[tuple[str, bool], tuple[bool, ...]] = {}
        # From wide to narrow, so that what a pattern would only repeat can be left out.
        for pattern in sorted(patterns, key=lambda each: (not each[1], len(each[0]))):
            around = list(_around(pattern, lengths))
            flags = tuple(
                self._allows_all(action, [first[action].get(each) for each in around])
                for action in actions
            )
            wider = next((told[each] for each in around if each in told), (False,) * len(actions))
            if flags != wider:
                told[pattern] = flags
        return sorted(told.items(), key=lambda each: (each[0][1], -len(each[0][0]), each[0][0]))

    def _allows_all(self, action: Action, rules: Iterable[Rule | None]) -> bool:
        found = [rule for rule in rules if rule is not None]
        if not found:
            return self._defaults[action].allowed
        return min(found, key=lambda rule: rule.number).entry.allow


def _first_rules(identity: Identity, rules: Iterable[Rule]) -> dict[tuple[str, bool], Rule]:
    """The first rule for each stem, and whether it is a prefix."""
    first: dict[tuple[str, bool], Rule] = {}
    for rule in rules:
        for stem in rule.stems(identity):
            first.setdefault((stem, rule.is_prefix), rule)
    return first


def _around(pattern: tuple[str, bool], lengths: Iterable[int]) -> Iterator[tuple[str, bool]]:
    """The pattern and every possible one around it, from narrow to wide.

    :param lengths: of the stems of prefixes, from long to short.
    """
    stem, is_prefix = pattern
    if not is_prefix:
        yield pattern
    for length in lengths:
        if length <= len(stem):
            yield stem[:length], True


_ALWAYS: Final = Decision(True, None, "always callable, because it concerns the session itself")


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
    return Decision(allowed, None, why, None if allowed else FORBIDDEN[action])
