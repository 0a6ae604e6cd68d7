"""The table of connection ends: codes, statuses, close codes and faults."""

from __future__ import annotations

import re

import pytest

from wampush.reasons import CloseReason, Ending, Fault


def test_a_reason_hands_on_its_row() -> None:
    reason = CloseReason.INTERNAL_ERROR
    assert reason.value == Ending(
        "internal-error", Fault.WAMPUSH, "A defect in wampush itself; the log has the traceback."
    )
    assert reason.code == "internal-error"
    assert reason.fault is Fault.WAMPUSH
    assert reason.sentence == "A defect in wampush itself; the log has the traceback."


@pytest.mark.parametrize("reason", CloseReason, ids=lambda each: each.code)
def test_a_row_is_words_and_a_sentence(reason: CloseReason) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason.code)
    assert reason.name == reason.code.upper().replace("-", "_")
    assert reason.sentence.endswith(".")


@pytest.mark.parametrize("reason", CloseReason, ids=lambda each: each.code)
def test_an_end_has_a_status_or_a_close_code_or_neither(reason: CloseReason) -> None:
    row = reason.value
    assert row.http_status is None or row.close_code is None
    assert row.http_status is None or 200 <= row.http_status <= 599
    assert row.close_code is None or 1000 <= row.close_code <= 4999


def test_ordinary_ends_are_nobodys_fault_and_each_fault_occurs() -> None:
    assert {each.fault for each in CloseReason} == {*Fault, None}


def test_refusals_of_handshakes() -> None:
    refusing = {each for each in CloseReason if each.refuses_handshake}
    assert {CloseReason.BAD_HANDSHAKE, CloseReason.WRONG_PORT} <= refusing
    assert CloseReason.PLAIN_REQUEST not in refusing
    assert CloseReason.SLOW_CLIENT not in refusing
    assert all(each.value.close_code is None for each in refusing)
