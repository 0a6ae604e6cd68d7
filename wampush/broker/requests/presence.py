"""The procedures about presence.

Owns: the procedures ``wampush.presence.list`` and ``wampush.presence.counts``.
Must not import: Twisted, the edges. Which sessions may ask about a topic is handed in.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from wampush.broker.presence.presence import Presence
from wampush.broker.requests.procedures import (
    ERROR_INVALID_ARGUMENT,
    CallRefused,
    MayLearn,
    Procedures,
    check_no_arguments,
)
from wampush.broker.subscriber import Subscriber
from wampush.errors import Refusal
from wampush.wamp.messages import Call
from wampush.wamp.uris import (
    ERROR_FORBIDDEN,
    PROCEDURE_PRESENCE_COUNTS,
    PROCEDURE_PRESENCE_LIST,
    TOPIC_NUM_CLIENTS,
    TOPIC_NUM_ONLINE,
)

ERROR_PRESENCE_OFF: Final = "http://api.wamp.ws/error#presence-off"


class PresenceProcedures:
    """The procedures about presence.

    :param presence: who is online and on which topic.
    :param may_learn: returns whether a session may know who is on a topic.
    :param list_users: the most users in one answer.
    """

    def __init__(self, presence: Presence, may_learn: MayLearn, list_users: int) -> None:
        self._presence = presence
        self._may_learn = may_learn
        self._list_users = list_users

    @property
    def procedures(self) -> Procedures:
        """The procedures by URI."""
        return {PROCEDURE_PRESENCE_LIST: self.list_, PROCEDURE_PRESENCE_COUNTS: self.counts}

    def list_(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.presence.list(topic)``: the users who have subscribed to a topic.

        :raises CallRefused: when the session may not know, or presence is off for the topic.
        """
        topic = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(topic, str):
            raise CallRefused(
                ERROR_INVALID_ARGUMENT, f"{call.procedure} takes one argument: a topic, a string"
            )
        self._check(subscriber, topic)
        presence = self._presence
        if not presence.is_on(topic):
            sentence = Refusal.PRESENCE_OFF.sentence
            raise CallRefused(ERROR_PRESENCE_OFF, sentence, {"topic": topic})
        users = [
            {"user": user, "connections": connections}
            for user, connections in islice(presence.announced_users(topic), self._list_users)
        ]
        count = presence.count_users(topic)
        return {
            "topic": topic,
            "users": users,
            "num_users": count,
            "anonymous": presence.count_anonymous(topic),
            "truncated": count > len(users),
        }

    def counts(self, subscriber: Subscriber, call: Call) -> object:
        """Answer ``wampush.presence.counts()``: the numbers of the two counter topics.

        :raises CallRefused: when the session may not subscribe to them.
        """
        check_no_arguments(call)
        self._check(subscriber, TOPIC_NUM_ONLINE)
        self._check(subscriber, TOPIC_NUM_CLIENTS)
        presence = self._presence
        return {"num_online": presence.num_online, "num_clients": presence.num_clients}

    def _check(self, subscriber: Subscriber, topic: str) -> None:
        if not self._may_learn(subscriber, topic):
            refusal = Refusal.SUBSCRIBE_FORBIDDEN
            raise CallRefused(ERROR_FORBIDDEN, refusal.sentence, {"reason": refusal.code})
