"""Lines of a log, for tests of code that logs through a callable."""

from __future__ import annotations

from collections.abc import Callable

from wampush.broker.ledger import Report


def reporting_to(add: Callable[[str], object]) -> Report:
    """A report that formats each message as the logger does, and adds it."""

    def report(message: str, **fields: object) -> None:
        add(message.format(**fields))

    return report
