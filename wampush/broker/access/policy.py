"""The access policy: the permissions in force, and which clients may publish where none decides.

Owns: the decision about one action, whether permissions are asked at all, and who may publish by
default.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from time import monotonic
from typing import Final

from wampush.broker.access.permission_rule import AccessDecision
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.identity import Identity
from wampush.choices import Action
from wampush.errors import Refusal

# Read for each request; reading a member from its enumeration takes as long as a call.
_PUBLISH: Final = Action.PUBLISH


@unique
class Publishing(Enum):
    """Which clients may PUBLISH where no permission decides; values are reasons for people."""

    NOBODY = "clients.publish allows no client to publish"
    #: Clients on this machine; a page counts only if it was loaded from this machine too.
    LOCAL = 'clients.publish = "auto" allows only clients and pages on this machine to publish'
    EVERYBODY = 'clients.publish = "always"'

    def includes(self, is_local: bool) -> bool:
        """Return whether a client may publish.

        :param is_local: whether the client counts as one on this machine.
        """
        return self is Publishing.EVERYBODY or (self is Publishing.LOCAL and is_local)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may do what.

    :param publishing: which clients may PUBLISH where no permission decides.
    :param permissions: who may subscribe, publish and call; None when everybody may do everything,
        apart from what ``publishing`` says.
    """

    publishing: Publishing
    permissions: Permissions | None = None

    def with_publishing(self, publishing: Publishing) -> Policy:
        """Return the same policy, with other clients that may publish by default."""
        return replace(self, publishing=publishing)

    def decide(
        self,
        identity: Identity,
        action: Action,
        topic: str,
        size: int = 0,
        *,
        is_local: bool = False,
    ) -> AccessDecision:
        """Return whether an identity may do something, apart from the rate, see :meth:`spend`.

        :param topic: the resolved topic, or the URI of a procedure.
        :param size: of the payload in bytes; for a call, of the whole message.
        :param is_local: whether the client counts as one on this machine; only publishing depends
            on it.
        """
        permissions = self.permissions
        if permissions is None:
            decision = _ALLOWED
        else:
            decision = permissions.decide(identity, action, topic, size)
        if action is not _PUBLISH or decision.rule is not None:
            return decision
        return _ALLOWED if self.publishing.includes(is_local) else _REFUSED[self.publishing]

    def may_subscribe(self, identity: Identity, topic: str) -> bool:
        """Return whether an identity may subscribe to a topic."""
        permissions = self.permissions
        return permissions is None or permissions.decide(identity, Action.SUBSCRIBE, topic).allowed

    def spend(self, decision: AccessDecision, buckets: dict[int, TokenBucket]) -> AccessDecision:
        """Count one allowed action against the rate of its rule.

        :param decision: the result of :meth:`decide`.
        :param buckets: those of the session, by number of the rule; one is added when needed.
        :returns: the same decision, or a refusal when the rate is exceeded.
        """
        permissions = self.permissions
        return decision if permissions is None else permissions.spend(decision, buckets)

    def effective(self, identity: Identity, is_local: bool) -> Mapping[str, object]:
        """Return what an identity may do on a client, as the permissions object of WAMP-CRA.

        :param is_local: whether the client counts as one on this machine.
        """
        permissions = self.permissions or _NO_RULES
        return permissions.effective(identity, self.publishing.includes(is_local))


_ALLOWED: Final = AccessDecision(True, None, "allowed where no permission decides")
_REFUSED: Final = {
    each: AccessDecision(False, None, each.value, Refusal.PUBLISH_FORBIDDEN) for each in Publishing
}
_NO_RULES: Final = Permissions((), default_decisions(), monotonic)
