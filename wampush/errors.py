"""The tree of errors that wampush raises on purpose.

Owns: the root of the tree, its branches, and what several modules raise.
Must not import: anything of wampush but ``reasons``, nor Twisted or Autobahn; all other modules may
import this one.
"""

from __future__ import annotations

from collections.abc import Iterable

from wampush.reasons import CloseReason, Ending, Fault, Reason, Refusal

__all__ = [
    "AuthenticationRefused",
    "BackendError",
    "ClientError",
    "CloseReason",
    "ConfigError",
    "ConfigErrors",
    "ConnectionRefused",
    "Defect",
    "Ending",
    "Fault",
    "InputRefused",
    "ListenError",
    "MessageRefused",
    "NotSerialisable",
    "OperatorError",
    "PublicationRefused",
    "PushRefused",
    "Reason",
    "Refusal",
    "WampushError",
]


class WampushError(Exception):
    """Root of every error raised on purpose.

    :ivar fault: who can fix what went wrong; None where only the server knows, as in a client.
    """

    fault: Fault | None = None


class InputRefused(WampushError):
    """The refusal of one input; nothing else is affected.

    :param refusal: the row of the table; the fault is that of the row.
    :param detail: what exactly was found, safe to log (no secrets, bounded length), or "".
    """

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        self.refusal = refusal
        self.detail = detail
        self.fault = refusal.fault
        super().__init__(f"{refusal.sentence} {detail}".strip())


class PushRefused(InputRefused):
    """A backend's push cannot become a publication."""


class MessageRefused(InputRefused):
    """A client's message is not valid WAMP v1, or the client may not send it."""


class PublicationRefused(PushRefused, MessageRefused):
    """The history of its topic does not take a publication, whoever sent it."""


class ConnectionRefused(WampushError):
    """The refusal of a client's connection.

    :param reason: the row of the table; its ``http_status`` is the response to the handshake, and
        the fault is that of the row.
    :param detail: what exactly was found, safe to log and to send; never a secret.
    """

    def __init__(self, reason: CloseReason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        self.fault = reason.fault
        super().__init__(f"{reason.sentence} {detail}".strip())


class AuthenticationRefused(ConnectionRefused):
    """Credentials are missing or not accepted, or the identity may not connect."""


class ClientError(WampushError):
    """Something the client can fix."""

    fault = Fault.CLIENT


class BackendError(WampushError):
    """Something that a program which wampush uses can fix: the web application, or Redis."""

    fault = Fault.BACKEND


class Defect(WampushError):
    """A defect of wampush itself."""

    fault = Fault.WAMPUSH


class OperatorError(WampushError):
    """Something the operator can fix; shown as one line, never as a traceback."""

    fault = Fault.OPERATOR


class NotSerialisable(WampushError):
    """A value to be sent has no JSON form; the application code that made it is at fault."""

    fault = Fault.OPERATOR


class ConfigError(OperatorError):
    """A setting stops the start.

    :param source: where it was read: a file's path, "environment" or "command line".
    :param key: dotted name, e.g. ``websocket.max_message_bytes``; "" for the source itself.
    :param value: the offending value as the operator wrote it.
    :param expected: what would be right.
    :param suggestion: the known key closest to a misspelt one, or "".
    :param line: the line of a file, counted from 1.
    """

    def __init__(
        self,
        source: str,
        key: str,
        value: object,
        expected: str,
        suggestion: str = "",
        line: int | None = None,
    ) -> None:
        self.source = source
        self.key = key
        self.value = value
        self.expected = expected
        self.suggestion = suggestion
        self.line = line
        place = source if line is None else f"{source}:{line}"
        where = f"{place}: {key}" if key else place
        shown = "" if value is None else f" = {value!r}"
        hint = f'; did you mean "{suggestion}"?' if suggestion else ""
        super().__init__(f"{where}{shown}: {expected}{hint}")


class ConfigErrors(OperatorError):
    """The mistakes in the configuration, all that were found; its text has one line for each.

    :param errors: at least one.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


class ListenError(OperatorError):
    """An address cannot be served.

    :param address: the endpoint or ZeroMQ address as configured.
    :param problem: what the system said, or what is wrong with the text.
    :param remedy: what would be right.
    """

    def __init__(self, address: str, problem: str, remedy: str) -> None:
        self.address = address
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"cannot listen on {address}: {problem}; {remedy}")
