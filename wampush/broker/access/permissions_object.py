"""The permissions object of WAMP-CRA: what one identity may do, as JSON.

Owns: how rules become a short list of patterns. Must not import: Twisted, the edges, the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from wampush.broker.access.permission_rule import Rule
from wampush.broker.identity import Identity
from wampush.choices import Action

_Pattern = tuple[str, bool]
"""A stem, and whether the pattern is about all topics that begin with it."""

_PUBSUB: Final = (Action.PUBLISH, Action.SUBSCRIBE)


def permissions_object(
    rules: Sequence[Rule], identity: Identity, defaults: Mapping[Action, bool]
) -> Mapping[str, object]:
    """Return what an identity may do.

    ``{"pubsub": [{"uri", "prefix", "pub", "sub"}], "rpc": [{"uri", "call"}]}``; an entry of ``rpc``
    also has ``"prefix": True`` if it is about all procedures that begin with its URI. The most
    specific entry comes first, and the first one that matches a topic says what the rules decide;
    where none matches, nothing is allowed. Joins and leaves of a topic need the permission to
    subscribe to that topic too.

    :param rules: in their order.
    :param defaults: whether an action is allowed where no rule decides.
    """
    applying = [rule for rule in rules if rule.applies_to(identity)]
    pubsub = _grants(applying, identity, {each: defaults[each] for each in _PUBSUB})
    rpc = _grants(applying, identity, {Action.CALL: defaults[Action.CALL]})
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
    rules: Sequence[Rule], identity: Identity, defaults: Mapping[Action, bool]
) -> list[tuple[_Pattern, tuple[bool, ...]]]:
    """Return patterns from narrow to wide, each with whether it allows each action.

    Of two patterns, one contains the other or they have no topic in common. So the narrowest
    pattern around a topic lies within all others around it, and a rule that decides for the whole
    of that pattern decides for the topic.

    :param rules: those that apply to the identity.
    :param defaults: the actions in question, and whether they are allowed where no rule decides.
    """
    first = {
        action: _first_rules(identity, [rule for rule in rules if action in rule.decisions])
        for action in defaults
    }
    patterns = {("", True)}.union(*first.values())
    lengths = sorted({len(stem) for stem, is_prefix in patterns if is_prefix}, reverse=True)
    grants: dict[_Pattern, tuple[bool, ...]] = {}
    nothing = (False,) * len(defaults)
    # From wide to narrow: a pattern that only repeats the next wider one is left out.
    for pattern in sorted(patterns, key=lambda each: (not each[1], len(each[0]))):
        around = list(_around(pattern, lengths))
        flags = tuple(
            _allows_all([first[action].get(each) for each in around], default)
            for action, default in defaults.items()
        )
        if flags != next((grants[each] for each in around if each in grants), nothing):
            grants[pattern] = flags
    return sorted(grants.items(), key=lambda each: (each[0][1], -len(each[0][0]), each[0][0]))


def _allows_all(rules: Iterable[Rule | None], default: bool) -> bool:
    """Return what the first of some rules says; the default if there is none."""
    found = [rule for rule in rules if rule is not None]
    if not found:
        return default
    return min(found, key=lambda rule: rule.number).entry.allow


def _first_rules(identity: Identity, rules: Iterable[Rule]) -> dict[_Pattern, Rule]:
    """Return the first rule for each pattern that the identity's values make of it."""
    first: dict[_Pattern, Rule] = {}
    for rule in rules:
        for stem in rule.stems(identity):
            first.setdefault((stem, rule.is_prefix), rule)
    return first


def _around(pattern: _Pattern, lengths: Iterable[int]) -> Iterator[_Pattern]:
    """Yield a pattern and every possible pattern around it, from narrow to wide.

    :param lengths: of the stems of prefixes, from long to short.
    """
    stem, is_prefix = pattern
    if not is_prefix:
        yield pattern
    for length in lengths:
        if length <= len(stem):
            yield stem[:length], True
