"""The sums of the default limits keep what the documents promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from limit_arithmetic import COSTS, MIB, SUMS, Term, address, everybody, in_mib, session, total

from wampush.config.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "limits.md"


def test_the_worst_address_costs_no_more_than_256_mib() -> None:
    assert total(address(Settings())) <= 256 * MIB


def test_a_machine_of_2_gib_survives_everybody() -> None:
    # The kernel and its socket buffers need the rest.
    assert total(everybody(Settings())) <= 1536 * MIB


def test_a_client_costs_less_than_its_address_and_that_less_than_everybody() -> None:
    sums = [total(make(Settings())) for make in (session, address, everybody)]
    assert sums == sorted(sums)


@pytest.mark.parametrize("name", SUMS)
def test_every_sum_is_on_the_page(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"<!-- generated: sum {name} -->" in text
    assert f"**{in_mib(total(SUMS[name](Settings())))}**" in text


def test_a_larger_limit_makes_a_larger_sum() -> None:
    settings = Settings()
    limits = replace(settings.limits, kept_bytes_per_address=2**30)
    more = address(replace(settings, limits=limits))
    assert total(more) > 1024 * MIB
    assert [each.what for each in more] == [each.what for each in address(settings)]


def test_sums_and_sizes() -> None:
    assert total([Term("a", "", 1), Term("b", "", 2)]) == 3
    assert in_mib(3 * MIB // 2) == "1.5 MiB"
    assert all(COSTS.values())
