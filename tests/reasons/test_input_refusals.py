"""The table of refusals: codes, faults and sentences."""

from __future__ import annotations

import re

import pytest

from wampush.config.settings import FIELDS
from wampush.reasons import CloseReason, Fault, Reason, Refusal


def test_a_refusal_hands_on_its_row() -> None:
    assert Refusal.EMPTY.value == Reason(
        "empty", Fault.BACKEND, "The message is empty; send a JSON object."
    )
    assert Refusal.EMPTY.code == "empty"
    assert Refusal.EMPTY.fault is Fault.BACKEND
    assert Refusal.EMPTY.sentence == "The message is empty; send a JSON object."


@pytest.mark.parametrize("refusal", Refusal, ids=lambda each: each.code)
def test_a_row_is_words_and_a_sentence(refusal: Refusal) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", refusal.code)
    assert refusal.name == refusal.code.upper().replace("-", "_")
    assert refusal.sentence.endswith(".")


def test_a_code_means_one_thing() -> None:
    codes = [each.code for each in (*Refusal, *CloseReason)]
    assert len(set(codes)) == len(codes)


def test_no_input_is_refused_for_a_defect() -> None:
    assert {each.fault for each in Refusal} == set(Fault) - {Fault.WAMPUSH}


@pytest.mark.parametrize("reason", [*Refusal, *CloseReason], ids=lambda each: each.code)
def test_a_sentence_names_settings_that_exist(reason: Refusal | CloseReason) -> None:
    tables = {key.partition(".")[0] for key in FIELDS}
    named = re.findall(r"\b([a-z]+)\.([a-z_]+)\b", reason.sentence)
    assert {f"{table}.{name}" for table, name in named if table in tables} <= set(FIELDS)
