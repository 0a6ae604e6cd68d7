"""The checkers for entries of ``[[permissions]]`` and for other topics with placeholders.

Owns: what a pattern with placeholders, a list of actions and a list of receivers may be.
Must not import: Twisted, Autobahn, or anything of wampush but ``checkers.common``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wampush.choices import ANYONE, AUTHENTICATED, GROUP, USER, Action
from wampush.config.checks.common import Rejected, StringCheck, Text, TopicPattern
from wampush.topics import split_placeholders


@dataclass(frozen=True, slots=True)
class PermissionPattern(StringCheck):
    """A topic or a prefix as in ``[[topics]]``, with ``{user}`` and ``{group}`` in it.

    A placeholder stands between separators, so that where its value ends is never in doubt:
    ``{user}*`` would give user 1 the topics of user 12.
    """

    allowed: str = (
        'a topic, or a prefix that ends in "*" (the only place where "*" may stand); each {user} '
        "or {group} in it stands between separators such as . / : #, and there are no other braces"
    )

    def check(self, value: object) -> object:
        """Accept what :attr:`allowed` says."""
        checked = TopicPattern(self.allowed).check(value)
        if not isinstance(checked, str):
            return checked
        texts = split_placeholders(checked)[0]
        return checked if _are_separated(texts) else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class AutomaticTopics:
    """A list of topics with placeholders, none of them twice.

    They begin with text of their own: for ``{user}`` somebody who may choose a user id would get
    any topic.
    """

    allowed: str = (
        'a list of topics such as "user.{user}"; each begins with text, has no "*", and each '
        "{user} or {group} in it stands between separators such as . / : #, without other braces"
    )

    def check(self, value: object) -> object:
        """Accept lists of usable, different topics and keep them as tuples."""
        if not isinstance(value, list | tuple):
            return Rejected(self.allowed, value)
        for at, topic in enumerate(value):
            checked = Text().check(topic)
            if not isinstance(checked, str) or "*" in checked or checked.startswith("{"):
                return Rejected(self.allowed, topic)
            if not _are_separated(split_placeholders(checked)[0]):
                return Rejected(self.allowed, topic)
            if topic in value[:at]:
                return Rejected("a topic that is not in the list already", topic)
        return tuple(value)

    def parse(self, text: str) -> object:
        """Split at commas."""
        return [part.strip() for part in text.split(",")]


def _are_separated(texts: Sequence[str]) -> bool:
    """Whether placeholders stand between separators.

    :param texts: what stands around them.
    """
    if any("{" in text or "}" in text for text in texts):
        return False
    before = all(_separates(text[-1]) for text in texts[:-1] if text)
    after = all(_separates(text[0]) for text in texts[1:] if text)
    return before and after and all(texts[1:-1])


def _separates(character: str) -> bool:
    return character != "*" and not character.isalnum()


@dataclass(frozen=True, slots=True)
class WordList:
    """A list of words, at least one and none twice.

    :param allowed: what is usable, as the end of a sentence that begins with "must be".
    :param is_usable: tells whether a word may stand in the list.
    """

    allowed: str
    is_usable: Callable[[str], bool]

    def check(self, value: object) -> object:
        """Accept lists of usable, different words and keep them as tuples."""
        if not isinstance(value, list | tuple) or not value:
            return Rejected(self.allowed, value)
        for at, word in enumerate(value):
            if not isinstance(word, str) or not self.is_usable(word):
                return Rejected(self.allowed, word)
            if word in value[:at]:
                return Rejected("a word that is not in the list already", word)
        return tuple(value)

    def parse(self, text: str) -> object:
        """Split at commas."""
        return [part.strip() for part in text.split(",")]


def _is_receiver(word: str) -> bool:
    kind, colon, name = word.partition(":")
    if not colon:
        return word in (ANYONE, AUTHENTICATED)
    return kind + colon in (USER, GROUP) and Text().check(name) == name


ACTIONS = WordList(
    'a list of at least one of: "subscribe", "publish", "call"',
    tuple(Action).__contains__,
)
RECEIVERS = WordList(
    'a list of at least one of: "anyone", "authenticated", "user:ID", "group:NAME"', _is_receiver
)
