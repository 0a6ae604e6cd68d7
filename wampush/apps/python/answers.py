"""What an outcome of a handler means for the client.

Owns: CALLRESULT and CALLERROR of calls, verdicts of hooks, errors of actions; what of an error goes
to the client, and what does not. Must not import: the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from twisted.python.failure import Failure

from wampush.apps.python import json_values
from wampush.apps.python.runner import End, Outcome
from wampush.apps.python.values import ActionError, CraSecret, Refuse, Rewrite, WampError
from wampush.broker.pending import PASS, Verdict
from wampush.errors import NotSerialisable, Refusal, shown
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_INTERNAL, ERROR_TIMEOUT, ERROR_UNAVAILABLE

if TYPE_CHECKING:
    from wampush.apps.incidents import Incidents
    from wampush.apps.python.context import Session
    from wampush.apps.python.handlers import Handler
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.messages import Call

_TOO_LONG: Final = "this took too long"
_GIVEN_UP: Final = "this was given up because session or server end"


# What handlers of each kind may return.


def as_result(value: object) -> orjson.Fragment:
    """The result of a procedure.

    :raises NotSerialisable: when it has no JSON form.
    """
    return orjson.Fragment(json_values.text_of(value))


def as_event(value: object) -> bytes | None:
    """What an action sends back; None for nothing.

    :raises NotSerialisable: when it has no JSON form.
    """
    return None if value is None else json_values.text_of(value)


def as_nothing(value: object) -> None:
    """Hooks return nothing. ``return False`` is meant to refuse, and must not let pass.

    :raises TypeError: when it is something.
    """
    if value is not None:
        message = f"it returned {shown(value)}; raise Refuse to refuse, else return nothing"
        raise TypeError(message)


def as_rewrite(value: object) -> bytes | None:
    """What to publish instead; None for what the client sent.

    :raises TypeError: when it is neither nothing nor a Rewrite.
    :raises NotSerialisable: when it has no JSON form.
    """
    if isinstance(value, Rewrite):
        return json_values.text_of(value.value)
    if value is not None:
        raise TypeError(
            f"it returned {shown(value)}; return Rewrite(value) to publish something else, nothing "
            "to let it pass; raise Refuse to refuse"
        )
    return None


def as_secret(value: object) -> CraSecret | None:
    """The key of a name.

    :raises TypeError: when it is something else.
    """
    if value is None or isinstance(value, CraSecret):
        return value
    raise TypeError(f"it returned {type(value).__name__}; return a CraSecret, or nothing")


class Answers:
    """Makes answers of outcomes.

    :param incidents: where errors that the client must not see are logged.
    """

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def incident(self, handler: Handler, session: Session, failure: Failure) -> str:
        """Log an error; give the words about it that may go to clients."""
        doing = f"{handler.name} for session {session.id} from {session.address}"
        number = self._incidents.report(doing, failure, handler.name)
        return f"internal error, incident {number}"

    def of_call(
        self,
        handler: Handler,
        session: Session,
        subscriber: Subscriber,
        call: Call,
        outcome: Outcome,
    ) -> bytes:
        """The text that answers a call."""
        speaker, call_id = subscriber.session, call.call_id
        if outcome.end is End.RETURNED:
            return speaker.result(call_id, outcome.value)
        uri, words, details = self._error_of_call(handler, session, outcome)
        try:
            return speaker.error(call_id, uri, words, details)
        except NotSerialisable:
            # Its words can not be sent; what is nested in it has been checked.
            words = self.incident(handler, session, Failure())
            return speaker.error(call_id, ERROR_INTERNAL, words)

    def _error_of_call(
        self, handler: Handler, session: Session, outcome: Outcome
    ) -> tuple[str, str, object]:
        if outcome.failure is None:
            timed_out = outcome.end is End.TIMED_OUT
            uri, words = (ERROR_TIMEOUT, _TOO_LONG) if timed_out else (ERROR_UNAVAILABLE, _GIVEN_UP)
            return uri, words, None
        error = outcome.failure.value
        if isinstance(error, WampError):
            text = error.details_text
            return error.uri, error.desc, None if text is None else orjson.Fragment(text)
        if isinstance(error, Refuse):
            return ERROR_FORBIDDEN, error.reason or Refusal.APPLICATION_REFUSED.sentence, None
        return ERROR_INTERNAL, self.incident(handler, session, outcome.failure), None

    def verdict(self, handler: Handler, session: Session, outcome: Outcome) -> Verdict:
        """What a hook has decided; one that failed has refused."""
        if outcome.end is End.RETURNED:
            return PASS if outcome.value is None else Verdict(payload=outcome.value)
        if outcome.failure is None:
            words = _TOO_LONG if outcome.end is End.TIMED_OUT else _GIVEN_UP
            return Verdict(Refusal.APPLICATION_FAILED, f"{handler.name}: {words}.")
        error = outcome.failure.value
        if isinstance(error, Refuse):
            return Verdict(Refusal.APPLICATION_REFUSED, error.reason)
        if isinstance(error, WampError):
            return Verdict(Refusal.APPLICATION_REFUSED, Refuse(error.desc).reason)
        words = self.incident(handler, session, outcome.failure)
        return Verdict(Refusal.APPLICATION_FAILED, f"{handler.name}: {words}.")

    def of_action(self, handler: Handler, session: Session, outcome: Outcome) -> bytes | None:
        """The JSON of ``[code, text]`` for an action that failed; None when nobody gets any."""
        if outcome.failure is None:
            return json_values.text_of([504, _TOO_LONG]) if outcome.end is End.TIMED_OUT else None
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
