"""``wampush push --user …``: the third part is what the server accepts."""

from __future__ import annotations

import json

import pytest

from tests.cli.puller import Puller
from wampush.broker.publication import EVERYONE, Audience, Targets
from wampush.broker.push_options import audience_of
from wampush.cli import main


def pushed(puller: Puller, *options: str) -> Audience:
    """The audience that the command asks for."""
    assert main(["push", "news", "1", "--to", puller.address, *options]) == 0
    topic, payload, *more = puller.next()
    assert (topic, payload) == (b"news", b"1")
    return audience_of(json.loads(more[0])) if more else EVERYONE


def some(*ids: str) -> frozenset[str]:
    return frozenset(ids)


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ("--user 7 --user é", Targets(users=some("7", "é"))),
        ("--group staff", Targets(groups=some("staff"))),
        ("--session x --session y", Targets(sessions=some("x", "y"))),
        ("--registered", Targets(registered=True)),
        ("--user 7 --group a --registered", Targets(some("7"), some("a"), registered=True)),
        ("--exclude-user 7", Targets(exclude_users=some("7"))),
        (
            "--registered --exclude-group a --exclude-session x --exclude-session y",
            Targets(registered=True, exclude_groups=some("a"), exclude_sessions=some("x", "y")),
        ),
    ],
)
def test_receivers(puller: Puller, options: str, targets: Targets) -> None:
    assert pushed(puller, *options.split()) == Audience(to=targets)


def test_further_topics(puller: Puller) -> None:
    options = ["--also", "orders", "--also", "chat", "--registered"]
    assert main(["push", "news", "1", "--to", puller.address, *options]) == 0
    assert json.loads(puller.next()[2]) == {
        "to": {"registered": True},
        "topics": ["orders", "chat"],
    }


def test_without_options_a_push_has_two_parts(puller: Puller) -> None:
    assert pushed(puller) is EVERYONE


@pytest.mark.parametrize("option", ["--user", "--group", "--session", "--exclude-user"])
@pytest.mark.parametrize("value", ["", "\udcff"])
def test_wrong_ids(option: str, value: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["push", "news", "1", option, value])
    assert caught.value.code == 2
    assert f"argument {option}: an id must" in capfd.readouterr().err
