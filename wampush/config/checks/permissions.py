"""Checks of patterns, topics and receivers of permissions and automatic subscriptions.

Owns: their forms. Must not import: Twisted, the settings.
"""

from __future__ import annotations

from typing import Annotated, Final

from wampush.choices import ANYONE, AUTHENTICATED, GROUP, USER
from wampush.config.checks.check import TOPIC_PATTERN, string
from wampush.topics import split_placeholders


def _are_separated(text: str) -> bool:
    """Return whether every placeholder has a separator on both sides.

    Otherwise it would be in doubt where its value ends: ``{user}*`` would give user 1 the topics
    of user 12.
    """
    texts, _ = split_placeholders(text)
    if any("{" in each or "}" in each for each in texts):
        return False
    before = all(_separates(each[-1]) for each in texts[:-1] if each)
    after = all(_separates(each[0]) for each in texts[1:] if each)
    return before and after and all(texts[1:-1])


def _separates(character: str) -> bool:
    return character != "*" and not character.isalnum()


def _is_pattern(text: str) -> bool:
    return TOPIC_PATTERN.accepts(text) and _are_separated(text)


def _is_template(text: str) -> bool:
    # A client that may choose its user id would get any topic if a topic began with {user}.
    return bool(text) and "*" not in text and not text.startswith("{") and _are_separated(text)


def _is_receiver(text: str) -> bool:
    kind, colon, name = text.partition(":")
    if not colon:
        return text in (ANYONE, AUTHENTICATED)
    return kind + colon in (USER, GROUP) and bool(name)


PERMISSION_PATTERN: Final = string(
    f"{TOPIC_PATTERN.allowed}; each {{user}} or {{group}} in it has separators such as . / : # "
    "on both sides, and no other braces are allowed",
    _is_pattern,
)
PermissionPattern = Annotated[str, PERMISSION_PATTERN]
TopicTemplate = Annotated[
    str,
    string(
        'a topic such as "user.{user}" that begins with text and has no "*"; each {user} or '
        "{group} in it has separators such as . / : # on both sides, and no other braces are "
        "allowed",
        _is_template,
    ),
]
Receiver = Annotated[
    str,
    string(f'"{ANYONE}", "{AUTHENTICATED}", "{USER}ID" or "{GROUP}NAME"', _is_receiver),
]
