"""Explains for ``wampush check`` what an identity may do, and which rule says so.

Owns: the arguments about an identity, the words of the explanation. Must not import: Twisted,
ZeroMQ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from ipaddress import ip_address

from wampush.broker.access.permission_rule import AccessDecision, Rule
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.choices import Action, PublishPolicy
from wampush.config.checks.endpoints import parts_of
from wampush.config.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the topics, and who would do something with them."""
    parser.add_argument(
        "topics",
        metavar="TOPIC",
        nargs="*",
        help="explain who decides whether this topic or procedure may be used",
    )
    parser.add_argument("--user", metavar="ID", help="as this user (default: nobody logged in)")
    parser.add_argument(
        "--groups",
        metavar="NAME[,NAME]",
        action="append",
        help="as somebody in these groups; repeatable",
    )
    parser.add_argument(
        "--action",
        choices=[action.value for action in Action],
        action="append",
        help="only this action (default: all three); repeatable",
    )


def identity_of(arguments: argparse.Namespace) -> Identity:
    """Whom the arguments describe."""
    names = {name for given in arguments.groups or () for name in given.split(",") if name}
    if arguments.user is None and not names:
        return ANONYMOUS
    return Identity(user=arguments.user, groups=frozenset(names), source="command line")


def explain(arguments: argparse.Namespace, settings: Settings) -> Iterator[str]:
    """One line for each topic and action.

    :param settings: what would be in force.
    """
    clients = settings.clients
    loopback = _all_on_loopback(settings.websocket.listen)
    permissions = Permissions(
        settings.permissions,
        default_decisions(clients.subscribe, clients.publish, clients.call),
        time.monotonic,
    )
    identity = identity_of(arguments)
    actions = [Action(value) for value in arguments.action or [each.value for each in Action]]
    width = max(len(_shown(topic)) for topic in arguments.topics)
    for topic in arguments.topics:
        for action in actions:
            decision = permissions.decide(identity, action, topic)
            verdict = "allowed" if decision.allowed else "refused"
            why = [decision.why, *_limits(permissions, decision, action)]
            if (
                action is Action.PUBLISH
                and decision.rule is None
                and clients.publish is PublishPolicy.AUTO
            ):
                verdict, more = _AUTO[loopback]
                why.append(more)
            why.extend(_misses(permissions, identity, action, topic, decision))
            line = f"{verdict:<7}  {action.value:<9}  {_shown(topic):<{width}}"
            yield f"{line}  # {'; '.join(why)}"


_AUTO = {
    True: ("allowed", "to clients and pages of this machine; every listener is on loopback"),
    False: ("refused", "a WebSocket listener is not on loopback"),
    None: ("depends", "it shows at the start whether every WebSocket listener is on loopback"),
}


def _limits(permissions: Permissions, decision: AccessDecision, action: Action) -> Iterator[str]:
    if not decision.allowed or decision.rule is None:
        return
    entry = permissions.rules[decision.rule - 1].entry
    if entry.max_bytes and action is not Action.SUBSCRIBE:
        yield f"at most {entry.max_bytes} bytes"
    if entry.per_second:
        yield f"at most {entry.per_second:g} per second in one session"


def _misses(
    permissions: Permissions,
    identity: Identity,
    action: Action,
    topic: str,
    decision: AccessDecision,
) -> Iterator[str]:
    """Why rules do not decide that look as if they should."""
    last = len(permissions.rules) if decision.rule is None else decision.rule - 1
    for rule in permissions.rules[:last]:
        if action in rule.decisions and rule.could_match(topic):
            yield f"permissions[{rule.number}] ({rule.entry.match!r}) {_miss(rule, identity)}"


def _miss(rule: Rule, identity: Identity) -> str:
    if not rule.applies_to(identity):
        return f"is for {rule.receivers}"
    held = " and ".join(repr(each) for each in sorted(rule.separators))
    if "user" in rule.placeholders and not rule.accepts(identity.user):
        return f"takes no user id that holds {held}" if identity.user else "needs a user"
    if "group" in rule.placeholders and not any(map(rule.accepts, identity.groups)):
        return f"takes no group that holds {held}" if identity.groups else "needs a group"
    return "matches other topics with the values of this identity"


def _all_on_loopback(endpoints: tuple[str, ...]) -> bool | None:
    """Whether only this machine reaches the listeners; None when their addresses do not say."""
    found = [_is_on_loopback(endpoint) for endpoint in endpoints]
    if False in found:
        return False
    return None if None in found else True


def _is_on_loopback(endpoint: str) -> bool | None:
    parts = parts_of(endpoint)
    if parts.kind == "unix":
        return True
    if parts.kind not in ("tcp", "tcp6", "ssl"):
        return None
    interface = parts.named.get("interface")
    if interface is None and parts.kind != "ssl" and len(parts.values) > 1:
        # The second value of these is the interface, also without its name.
        interface = parts.values[1]
    try:
        return ip_address(interface).is_loopback if interface else False
    except ValueError:
        return None


def _shown(topic: str) -> str:
    return topic if topic.isprintable() else repr(topic)
