"""Who may publish where no permission decides."""

from __future__ import annotations

import pytest

from wampush.broker.access.policy import Publishing
from wampush.choices import PublishPolicy
from wampush.node.default_publishing import decide_publishing


@pytest.mark.parametrize("only_loopback", [True, False])
@pytest.mark.parametrize(
    ("choice", "publishing", "summary"),
    [
        (PublishPolicy.ALWAYS, Publishing.EVERYBODY, "clients may publish"),
        (PublishPolicy.NEVER, Publishing.NOBODY, "clients may not publish"),
    ],
)
def test_a_fixed_choice(
    choice: PublishPolicy, publishing: Publishing, summary: str, only_loopback: bool
) -> None:
    decision = decide_publishing(choice, only_loopback)
    assert (decision.publishing, decision.summary) == (publishing, summary)
    assert decision.reason == f'clients.publish = "{choice.value}"'


def test_clients_of_this_machine_may_while_no_other_can_connect() -> None:
    decision = decide_publishing(PublishPolicy.AUTO, True)
    assert decision.publishing is Publishing.LOCAL
    assert decision.summary == "clients of this machine may publish"
    assert decision.reason == "every WebSocket listener is on loopback"


def test_nobody_may_once_others_can_connect() -> None:
    decision = decide_publishing(PublishPolicy.AUTO, False)
    assert decision.publishing is Publishing.NOBODY
    assert decision.summary == "clients may not publish"
    assert 'clients.publish = "always" allows it' in decision.reason


def test_each_choice_has_a_decision() -> None:
    assert {decide_publishing(each, True).publishing for each in PublishPolicy} == set(Publishing)
