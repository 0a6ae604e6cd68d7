"""The permissions: which identity may subscribe to, publish on or call what.

Owns: the order of the rules, the defaults, and the rate of one session under one rule.
Must not import: Twisted, the edges, the settings. The clock is handed in.

The first rule that is about the action, applies to the identity and matches the topic decides.
Without one, the default for the action decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from wampush.broker.access.permission_rule import FORBIDDEN, AccessDecision, PermissionEntry, Rule
from wampush.broker.access.permissions_object import permissions_object
from wampush.broker.access.permissions_object_cache import PermissionsObjects
from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.identity import Identity
from wampush.choices import Action, DefaultPermission, PublishPolicy
from wampush.errors import Refusal
from wampush.wamp.cra import PROCEDURE_AUTH, PROCEDURE_AUTHREQ
from wampush.wamp.uris import (
    PRESENCE_CHANGES,
    PROCEDURE_POSITIONS,
    PROCEDURE_REFRESH,
    PROCEDURE_SESSION,
    PROCEDURE_TIME,
)

#: The procedures by which a session authenticates.
AUTHENTICATION_PROCEDURES: Final = frozenset((PROCEDURE_AUTHREQ, PROCEDURE_AUTH, PROCEDURE_REFRESH))
#: Procedures that need no permission: they concern the session itself, and a client that wonders
#: why something was refused has to be able to look up what is allowed. One that may subscribe may
#: also know its position, without which it could not get what it has missed.
ALWAYS_CALLABLE: Final = AUTHENTICATION_PROCEDURES | {
    PROCEDURE_POSITIONS,
    PROCEDURE_SESSION,
    PROCEDURE_TIME,
}


class Permissions:
    """The rules in force; they never change.

    :param entries: the rules in their order.
    :param defaults: the decision for each action where no rule decides, see
        :func:`default_decisions`.
    :param now: returns the time in seconds, for rates; need not be the time of day.
    """

    __slots__ = ("_by_action", "_defaults", "_now", "_objects", "rules")

    def __init__(
        self,
        entries: Iterable[PermissionEntry],
        defaults: Mapping[Action, AccessDecision],
        now: Callable[[], float],
    ) -> None:
        self.rules: Sequence[Rule] = [Rule(number, each) for number, each in enumerate(entries, 1)]
        self._by_action = {
            action: tuple(rule for rule in self.rules if action in rule.decisions)
            for action in Action
        }
        self._defaults = defaults
        self._now = now
        self._objects = PermissionsObjects()

    def decide(
        self, identity: Identity, action: Action, topic: str, size: int = 0
    ) -> AccessDecision:
        """Return whether an identity may do something, apart from the rate, see :meth:`spend`.

        Watching who is on a topic takes the permission to subscribe to the topic itself as well.

        :param topic: the resolved topic, or the URI of a procedure.
        :param size: of the payload in bytes; for a call, of the whole message.
        """
        if action is Action.CALL and topic in ALWAYS_CALLABLE:
            return _ALWAYS
        if action is Action.SUBSCRIBE and topic.startswith(PRESENCE_CHANGES):
            of_topic = self._decide(identity, action, topic[len(PRESENCE_CHANGES) :], size)
            if not of_topic.allowed:
                return of_topic
        return self._decide(identity, action, topic, size)

    def _decide(self, identity: Identity, action: Action, topic: str, size: int) -> AccessDecision:
        for rule in self._by_action[action]:
            if rule.matches(identity, topic) and rule.applies_to(identity):
                return rule.decide(action, size)
        return self._defaults[action]

    def spend(self, decision: AccessDecision, buckets: dict[int, TokenBucket]) -> AccessDecision:
        """Count one allowed action against the rate of its rule.

        :param decision: the result of :meth:`decide`.
        :param buckets: those of the session, by number of the rule; one is added when needed.
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

    def rates(self, buckets: Mapping[int, TokenBucket]) -> list[tuple[int, float, float]]:
        """Return number of the rule, rate, and what is left of it, for another process."""
        now = self._now()
        return [(number, each.rate, each.left(now)) for number, each in buckets.items()]

    def restore_rates(self, rates: Iterable[Sequence[float]]) -> dict[int, TokenBucket]:
        """Return the buckets for the rates of another process.

        A rule that has another rate here is another rule, whose rate is not used yet.
        """
        now = self._now()
        per_second = {rule.number: rule.entry.per_second for rule in self.rules}
        return {
            int(number): TokenBucket.with_left(rate, left, now)
            for number, rate, left in rates
            if per_second.get(int(number)) == rate
        }

    def effective(
        self, identity: Identity, publish_by_default: bool | None = None
    ) -> Mapping[str, object]:
        """Return what an identity may do, as the permissions object of WAMP-CRA.

        The object is kept for the next time; callers must not change it.

        :param publish_by_default: whether publishing is allowed where no rule decides; None for
            what the defaults say.
        """
        key = (identity.user, identity.groups, publish_by_default)
        return self._objects.get(key, lambda: self._make_object(identity, publish_by_default))

    def _make_object(
        self, identity: Identity, publish_by_default: bool | None
    ) -> Mapping[str, object]:
        defaults = {action: decision.allowed for action, decision in self._defaults.items()}
        if publish_by_default is not None:
            defaults[Action.PUBLISH] = publish_by_default
        return permissions_object(self.rules, identity, defaults)


_ALWAYS: Final = AccessDecision(
    True, None, "always allowed, because it concerns the session itself"
)


def default_decisions(
    subscribe: DefaultPermission = DefaultPermission.ALLOW,
    publish: PublishPolicy = PublishPolicy.AUTO,
    call: DefaultPermission = DefaultPermission.ALLOW,
) -> dict[Action, AccessDecision]:
    """Return the decision for each action where no rule decides, from the settings ``[clients]``.

    :param publish: AUTO counts as NEVER; the policy knows which clients may publish then.
    """
    allowing = (DefaultPermission.ALLOW, PublishPolicy.ALWAYS)
    values = {Action.SUBSCRIBE: subscribe, Action.PUBLISH: publish, Action.CALL: call}
    return {
        action: _default(action, value in allowing, f'clients.{action} = "{value}"')
        for action, value in values.items()
    }


def _default(action: Action, allowed: bool, why: str) -> AccessDecision:
    return AccessDecision(allowed, None, why, None if allowed else FORBIDDEN[action])
