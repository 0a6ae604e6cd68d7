"""Replies to clients, made from the outcomes of handlers.

Owns: results and errors of calls, verdicts of hooks, errors of actions; which part of an error the
client sees. Must not import: the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from twisted.python.failure import Failure

from wampush.apps.python import json_values
from wampush.apps.python.runner import Outcome, RunState
from wampush.apps.python.values import ActionError, Refuse, WampError
from wampush.broker.pending import PASS, Verdict
from wampush.errors import NotSerialisable, Refusal
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_INTERNAL, ERROR_TIMEOUT, ERROR_UNAVAILABLE

if TYPE_CHECKING:
    from wampush.apps.incidents import Incidents
    from wampush.apps.python.handlers import Handler
    from wampush.apps.python.session import Session
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.messages import Call

_TOO_LONG: Final = "this took too long"
_CANCELLED: Final = "cancelled because the session or the server ends"


class Replies:
    """Makes replies from outcomes.

    :param incidents: logs errors that clients must not see.
    """

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def incident(self, handler: Handler, session: Session, failure: Failure) -> str:
        """Log an error, and return the description that clients may see."""
        action = f"{handler.name} for session {session.id} from {session.address}"
        number = self._incidents.report(
            action, failure, handler.name, session=session.id, address=session.address
        )
        return f"internal error, incident {number}"

    def to_call(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        call: Call,
        outcome: Outcome,
    ) -> bytes:
        """Return the text that replies to a call."""
        writer, call_id = subscriber.session, call.call_id
        if outcome.state is RunState.RETURNED:
            return writer.result(call_id, outcome.value)
        uri, description, details = self._call_error(handler, session, outcome)
        try:
            return writer.error(call_id, uri, description, details)
        except NotSerialisable:
            # The description has no JSON form; the details were checked before.
            description = self.incident(handler, session, Failure())
            return writer.error(call_id, ERROR_INTERNAL, description)

    def _call_error(
        self, handler: Handler, session: Session, outcome: Outcome
    ) -> tuple[str, str, object]:
        if outcome.failure is None:
            if outcome.state is RunState.TIMED_OUT:
                return ERROR_TIMEOUT, _TOO_LONG, None
            return ERROR_UNAVAILABLE, _CANCELLED, None
        error = outcome.failure.value
        if isinstance(error, WampError):
            text = error.details_text
            return error.uri, error.desc, None if text is None else orjson.Fragment(text)
        if isinstance(error, Refuse):
            return ERROR_FORBIDDEN, error.reason or Refusal.APPLICATION_REFUSED.sentence, None
        return ERROR_INTERNAL, self.incident(handler, session, outcome.failure), None

    def verdict(self, handler: Handler, session: Session, outcome: Outcome) -> Verdict:
        """Return the decision of a hook; a hook that failed has refused."""
        if outcome.state is RunState.RETURNED:
            return PASS if outcome.value is None else Verdict(payload=outcome.value)
        if outcome.failure is None:
            description = _TOO_LONG if outcome.state is RunState.TIMED_OUT else _CANCELLED
            return Verdict(Refusal.APPLICATION_FAILED, f"{handler.name}: {description}.")
        error = outcome.failure.value
        if isinstance(error, Refuse):
            return Verdict(Refusal.APPLICATION_REFUSED, error.reason)
        if isinstance(error, WampError):
            return Verdict(Refusal.APPLICATION_REFUSED, Refuse(error.desc).reason)
        description = self.incident(handler, session, outcome.failure)
        return Verdict(Refusal.APPLICATION_FAILED, f"{handler.name}: {description}.")

    def to_action(self, handler: Handler, session: Session, outcome: Outcome) -> bytes | None:
        """Return the JSON of ``[code, text]`` for an action that failed; None when cancelled."""
        if outcome.failure is None:
            timed_out = outcome.state is RunState.TIMED_OUT
            return json_values.text_of([504, _TOO_LONG]) if timed_out else None
        error = outcome.failure.value
        code: int | str
        if isinstance(error, ActionError):
            code, text = error.code, error.text
        elif isinstance(error, WampError):
            code, text = error.uri, error.desc
        elif isinstance(error, Refuse):
            code, text = 403, error.reason or Refusal.APPLICATION_REFUSED.sentence
        else:
            code, text = 500, self.incident(handler, session, outcome.failure)
        return json_values.text_of([code, text])
