"""The decision which clients may publish where no permission decides.

Owns: what ``clients.publish`` means for the listeners that are open.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from dataclasses import dataclass

from wampush.broker.access.policy import Publishing
from wampush.choices import PublishPolicy


@dataclass(frozen=True, slots=True)
class PublishingDecision:
    """Which clients may publish.

    :param publishing: what to put in force.
    :param summary: the decision, for the log.
    :param reason: what it follows from, for the log.
    """

    publishing: Publishing
    summary: str
    reason: str


def decide_publishing(choice: PublishPolicy, only_loopback: bool) -> PublishingDecision:
    """Decide which clients may publish.

    :param choice: ``clients.publish``.
    :param only_loopback: whether every WebSocket listener can be reached from this machine only.
    """
    if choice is PublishPolicy.ALWAYS:
        return PublishingDecision(
            Publishing.EVERYBODY, "clients may publish", 'clients.publish = "always"'
        )
    if choice is PublishPolicy.NEVER:
        return PublishingDecision(
            Publishing.NOBODY, "clients may not publish", 'clients.publish = "never"'
        )
    if only_loopback:
        return PublishingDecision(
            Publishing.LOCAL,
            "clients of this machine may publish",
            "every WebSocket listener is on loopback",
        )
    return PublishingDecision(
        Publishing.NOBODY,
        "clients may not publish",
        'a WebSocket listener is not on loopback; clients.publish = "always" allows it',
    )
