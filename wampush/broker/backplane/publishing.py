"""The way of publications to all nodes.

Owns: which topics go which way, and the outcome of a publication to several topics.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from functools import partial

from wampush.broker.backplane.contract import Accepted, KeptTopics, OnOutcome
from wampush.broker.backplane.plain_topics import PlainTopics
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Publication
from wampush.errors import PublicationRefused
from wampush.excerpts import shown
from wampush.log_limit import LogLimiter


class NodePublishing:
    """Sends publications to all nodes.

    :param plain: publishes to topics without history.
    :param kept: publishes to topics with a history; None where no topic has one.
    :param ledger: has the clock and the logger.
    """

    def __init__(self, plain: PlainTopics, kept: KeptTopics | None, ledger: Ledger) -> None:
        self._plain = plain
        self._kept = kept
        self._ledger = ledger
        self._limiter = LogLimiter(ledger.time)

    def takes(self, publication: Publication) -> bool:  # noqa: ARG002 - as the contract has it
        """Return True: every publication is for all nodes."""
        return True

    def publish(
        self, publication: Publication, on_done: OnOutcome, *, is_awaited: bool = False
    ) -> None:
        """Send a publication to all nodes.

        :param on_done: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome.
        :raises PublicationRefused: it is not taken on any of its topics.
        """
        kept = self._kept
        if kept is not None and self._is_kept(kept, publication):
            kept.publish(publication, on_done, is_awaited=is_awaited)
            return
        if not publication.further_topics:
            self._plain.publish(publication, on_done)
            return
        parts = list(publication.by_topic())
        outcome = _Outcome(len(parts), on_done)
        refused: list[tuple[Publication, PublicationRefused]] = []
        for each in parts:
            try:
                self._plain.publish(each, partial(self._on_part, each, outcome))
            except PublicationRefused as error:
                refused.append((each, error))
        if len(refused) == len(parts):
            raise refused[0][1]
        for part, problem in refused:
            self._on_part(part, outcome, problem)

    def flush(self) -> None:
        """Deliver what can be delivered at once; for the end of the process."""
        if self._kept is not None:
            self._kept.flush()

    def stop(self) -> None:
        """Deliver or refuse everything that is under way, and take no more."""
        if self._kept is not None:
            self._kept.stop()
        self._plain.stop()

    @staticmethod
    def _is_kept(kept: KeptTopics, publication: Publication) -> bool:
        if publication.push is not None or kept.takes(publication.topic):
            return True
        return any(map(kept.takes, publication.further_topics))

    def _on_part(
        self,
        publication: Publication,
        outcome: _Outcome,
        result: int | Accepted | PublicationRefused | None,
    ) -> None:
        if outcome.add(result) and isinstance(result, PublicationRefused):
            # The publication as a whole is accepted, so that this part counts nowhere.
            suffix = self._limiter.suffix(result.refusal)
            if suffix is not None:
                self._ledger.warn(
                    "left out topic {topic} of a publication to several topics: {problem}{suffix}",
                    topic=shown(publication.topic),
                    problem=str(result),
                    suffix=suffix,
                )


class _Outcome:
    """The outcome of a publication to several topics.

    :param parts: how many topics there are.
    :param on_done: learns the outcome once that of each topic is known.
    """

    __slots__ = ("_is_heard_elsewhere", "_left", "_on_done", "_receivers", "_refused", "_taken")

    def __init__(self, parts: int, on_done: OnOutcome) -> None:
        self._left = parts
        self._on_done = on_done
        self._receivers = 0
        self._taken = 0
        self._is_heard_elsewhere = False
        self._refused: PublicationRefused | None = None

    def add(self, result: int | Accepted | PublicationRefused | None) -> bool:
        """Add the outcome for one topic; return whether the publication was taken on another."""
        self._left -= 1
        if isinstance(result, Accepted):
            result = result.receivers
        if isinstance(result, PublicationRefused):
            self._refused = result
        else:
            self._taken += 1
            self._receivers += result or 0
            self._is_heard_elsewhere |= result is None
        if not self._left:
            self._on_done(self._result())
        return self._taken > 0 or self._left > 0

    def _result(self) -> int | PublicationRefused | None:
        if not self._taken and self._refused is not None:
            return self._refused
        if not self._receivers and self._is_heard_elsewhere:
            return None
        return self._receivers
