"""``wampush check`` with topics: who may do what, and which entry says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.cli import main

RULES = """
[clients]
subscribe = "deny"

[[permissions]]
match = "user.{user}.*"
actions = ["subscribe", "publish"]
to = ["authenticated"]
max_bytes = 100
per_second = 0.5

[[permissions]]
match = "team/{group}"
actions = ["subscribe"]
to = ["anyone"]

[[permissions]]
match = "admin"
actions = ["subscribe"]
to = ["group:staff", "user:7"]
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAMPUSH_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "wampush.toml"
    path.write_text(RULES)
    return str(path)


def lines(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    """Verdict, action, topic and reason of each line."""
    assert main(["check", *arguments]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    found = []
    for line in out.splitlines():
        head, _, why = line.partition("  # ")
        found.append([*head.split(maxsplit=2), why])
    return [[each.strip() for each in row] for row in found]


def test_one_line_for_each_topic_and_action(capfd: pytest.CaptureFixture[str], file: str) -> None:
    found = lines(capfd, "--config", file, "--user", "7", "user.7.x", "admin")
    assert [row[:3] for row in found] == [
        ["allowed", "subscribe", "user.7.x"],
        ["allowed", "publish", "user.7.x"],
        ["allowed", "call", "user.7.x"],
        ["allowed", "subscribe", "admin"],
        ["allowed", "publish", "admin"],
        ["allowed", "call", "admin"],
    ]
    assert found[0][3] == (
        "permissions[1] allows subscribe on 'user.{user}.*' to authenticated; "
        "at most 0.5 per second in one session"
    )
    assert "; at most 100 bytes; at most 0.5" in found[1][3]
    assert found[2][3] == 'clients.call = "allow"'
    assert found[3][3] == "permissions[3] allows subscribe on 'admin' to group:staff, user:7"


@pytest.mark.parametrize(
    ("arguments", "topic", "allowed", "why"),
    [
        (["--user", "8"], "user.7.x", False, "matches other topics"),
        (["--user", "a.b"], "user.a.b.x", False, "takes no user id that holds '.'"),
        ([], "user.a.x", False, "is for authenticated"),
        ([], "team/a", False, "permissions[2] ('team/{group}') needs a group"),
        (["--groups", "a"], "team/a", True, "permissions[2] allows"),
        (["--groups", "b,a"], "team/a", True, "permissions[2] allows"),
        (["--groups", "b", "--groups", "a"], "team/a", True, "permissions[2] allows"),
        (["--groups", "a/b"], "team/c", False, "takes no group that holds '/'"),
        (["--groups", "b"], "team/a", False, "matches other topics"),
        (["--user", "8"], "admin", False, "permissions[3] ('admin') is for group:staff, user:7"),
        (["--groups", "staff"], "admin", True, "permissions[3] allows"),
        (["--user", "8"], "else", False, 'clients.subscribe = "deny"'),
    ],
)
def test_why(
    capfd: pytest.CaptureFixture[str],
    file: str,
    arguments: list[str],
    topic: str,
    allowed: bool,
    why: str,
) -> None:
    (row,) = lines(capfd, "--config", file, "--action", "subscribe", *arguments, topic)
    assert row[0] == ("allowed" if allowed else "refused")
    assert why in row[3]


def test_a_user_is_needed_where_groups_alone_are_known(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text('[[permissions]]\nmatch = "u.{user}"\nactions = ["call"]\nto = ["group:a"]\n')
    arguments = ["--config", str(path), "--groups", "a", "--action", "call", "u.x"]
    (row,) = lines(capfd, *arguments)
    assert row[3] == "clients.call = \"allow\"; permissions[1] ('u.{user}') needs a user"


@pytest.mark.parametrize(
    ("endpoint", "verdict"),
    [
        ("tcp:8080:interface=127.0.0.1", "allowed"),
        ("tcp:8080:127.0.0.1", "allowed"),
        ("tcp6:8080:interface=\\:\\:1", "allowed"),
        ("unix:/run/wampush.sock", "allowed"),
        ("ssl:8443:interface=127.0.0.1", "allowed"),
        ("tcp:8080", "refused"),
        ("tcp:8080:interface=0.0.0.0", "refused"),
        ("tcp:8080:backlog=5", "refused"),
        ("ssl:8443:privateKey=key.pem", "refused"),
        ("tcp:8080:interface=localhost", "depends"),
        ("systemd:domain=INET:index=0", "depends"),
    ],
)
def test_publishing_where_the_listeners_decide(
    capfd: pytest.CaptureFixture[str], endpoint: str, verdict: str
) -> None:
    (row,) = lines(capfd, "--listen", endpoint, "--action", "publish", "news")
    assert row[:3] == [verdict, "publish", "news"]
    assert row[3].startswith('clients.publish = "auto"; ')


def test_one_public_listener_is_enough(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--listen", "systemd:domain=INET:index=0", "--listen", "tcp:1", "--action"]
    (row,) = lines(capfd, *arguments, "publish", "news")
    assert row[0] == "refused"


def test_topics_stay_on_their_line(capfd: pytest.CaptureFixture[str]) -> None:
    (row,) = lines(capfd, "--action", "call", "a\nb\x1b[31m")
    assert row[2] == "'a\\nb\\x1b[31m'"


@pytest.mark.parametrize("option", [["--user", "a"], ["--groups", "a"], ["--action", "call"]])
def test_an_identity_needs_a_topic(capfd: pytest.CaptureFixture[str], option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", *option])
    assert caught.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (
        "wampush check: --user, --groups and --action need a TOPIC; see wampush check --help\n"
    )
