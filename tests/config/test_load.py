"""Merging the sources: their precedence, rules between settings, and what is shown."""

from __future__ import annotations

import pytest

from tests.config.refusals import mistakes, refusal
from wampush.choices import SlowClient
from wampush.config.load import as_toml, describe, load
from wampush.config.settings import LISTS, Settings
from wampush.config.tables.topics import TopicSettings


def test_nothing_given_means_the_defaults():
    loaded = load(None, {}, {})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.websocket.listen == ("tcp:8080:interface=127.0.0.1",)
    assert loaded.settings.zmq.pull == ("tcp://127.0.0.1:5555",)
    assert loaded.settings.http.listen == "tcp:8081:interface=127.0.0.1"


def test_values_of_the_file(toml):
    path = toml(
        """
        [websocket]
        listen = ["tcp:9000", "unix:/run/wampush socket"]
        dialect = "ratchet"
        require_subprotocol = false
        ping_interval = 10
        [zmq]
        pull = ["tcp://*:5555", "connect:tcp://[::1]:5556", "ipc:///run/push"]
        [http]
        listen = "off"
        [[topics]]
        match = "prices/eur"
        [[topics]]
        match = "prices/*"
        slow_client = "latest"
        """
    )
    loaded = load(path, {}, {})
    websocket = loaded.settings.websocket
    assert websocket.listen == ("tcp:9000", "unix:/run/wampush socket")
    assert websocket.dialect == "ratchet"
    assert websocket.require_subprotocol is False
    assert isinstance(websocket.ping_interval, float)
    assert websocket.ping_interval == 10
    assert loaded.settings.zmq.pull[1] == "connect:tcp://[::1]:5556"
    assert loaded.settings.http.listen == "off"
    assert loaded.settings.topics == (
        TopicSettings("prices/eur"),
        TopicSettings("prices/*", SlowClient.LATEST),
    )
    assert loaded.origins["topics"] == loaded.origins["http.listen"] == f"file {path}"
    assert loaded.origins["clients.publish"] == "default"


def test_command_line_over_environment_over_file_over_default(toml):
    path = toml(
        "[limits]\ntopic_bytes = 10\n[clients]\nqueue_bytes = 2000\npublish = 'never'\n"
        "[zmq]\npull = ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:2']\n"
        "[pushes]\nmax_message_bytes = 500\n[websocket]\nmax_message_bytes = 500"
    )
    environ = {
        "WAMPUSH_CLIENTS_QUEUE_BYTES": "3000",
        "WAMPUSH_CLIENTS_PUBLISH": "always",
        "WAMPUSH_ZMQ_PULL": "tcp://127.0.0.1:3, ipc:///tmp/x",
        "PATH": "/bin",
    }
    overrides = {
        "clients.publish": "auto",
        "websocket.listen": ["tcp:1", "tcp:2"],
        "http.listen": None,
    }
    loaded = load(path, environ, overrides)
    assert loaded.settings.limits.topic_bytes == 10
    assert loaded.settings.clients.queue_bytes == 3000
    assert loaded.settings.clients.publish == "auto"
    assert loaded.settings.zmq.pull == ("tcp://127.0.0.1:3", "ipc:///tmp/x")
    assert loaded.settings.websocket.listen == ("tcp:1", "tcp:2")
    assert loaded.origins["limits.topic_bytes"] == f"file {path}"
    assert loaded.origins["clients.queue_bytes"] == "environment WAMPUSH_CLIENTS_QUEUE_BYTES"
    assert loaded.origins["clients.publish"] == "command line"
    assert loaded.origins["http.listen"] == "default"


def test_the_environment_names_the_file_unless_the_command_line_does(toml, tmp_path):
    path = toml("[limits]\ntopic_bytes = 10")
    environ = {"WAMPUSH_CONFIG": str(path)}
    assert load(None, environ, {}).settings.limits.topic_bytes == 10
    other = tmp_path / "other.toml"
    other.write_text("[limits]\ntopic_bytes = 20")
    assert load(other, environ, {}).settings.limits.topic_bytes == 20


def test_topics_may_come_from_the_command_line():
    loaded = load(None, {}, {"topics": [{"match": "a", "slow_client": "drop-newest"}]})
    assert loaded.settings.topics == (TopicSettings("a", SlowClient.DROP_NEWEST),)
    assert loaded.origins["topics"] == "command line"


def test_a_value_that_is_overridden_is_checked_too(toml):
    path = toml("[clients]\nqueue_bytes = 'many'")
    error = refusal(path, {"WAMPUSH_CLIENTS_QUEUE_BYTES": "4194304"})
    assert error.source == str(path)


def test_of_two_values_at_odds_the_one_that_was_set_last_is_named(toml):
    path = toml("[websocket]\nsilence_timeout = 20\nping_interval = 10")
    error = refusal(path, {"WAMPUSH_WEBSOCKET_PING_INTERVAL": "40"})
    assert (error.source, error.key) == ("environment", "websocket.ping_interval")
    assert error.value == 40


def test_description_names_value_and_origin(toml):
    path = toml("[websocket]\nping_interval = 20\n[[topics]]\nmatch = 'a'")
    rows = {row.key: row for row in describe(load(path, {}, {}))}
    assert rows["websocket.ping_interval"] == ("websocket.ping_interval", 20.0, f"file {path}")
    assert rows["topics[1].match"][1:3] == ("a", f"file {path}")
    assert rows["topics[1].slow_client"].value == "auto"
    without = describe(load(None, {}, {}))
    lists = [row for row in without if row.key in LISTS]
    assert lists == [(table, (), "default") for table in LISTS]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (30.0, "30.0"),
        (5, "5"),
        ('a"\n\x7f', '"a\\"\\n\\u007f"'),
        (("a", "b"), '["a", "b"]'),
        ((), "[]"),
    ],
)
def test_values_as_toml(value, text):
    assert as_toml(value) == text


def test_the_message_for_the_operator(toml):
    path = toml("[websocket]\nping_intervall = 20")
    assert str(refusal(path)) == (
        f"{path}:2: websocket.ping_intervall = 20: no setting has this name; "
        'did you mean "websocket.ping_interval"?'
    )


def test_rules_wait_for_operands_without_mistakes(toml):
    text = "[websocket]\nsilence_timeout = 5\n[limits]\nqueued_bytes = 2000\n"
    both = mistakes(toml(text))
    assert [each.key for each in both] == ["websocket.silence_timeout", "limits.queued_bytes"]
    text = "[websocket]\nsilence_timeout = 5\nping_interval = 'a'\n[limits]\nqueued_bytes = 2000\n"
    rest = mistakes(toml(text))
    assert [each.key for each in rest] == ["websocket.ping_interval", "limits.queued_bytes"]


@pytest.mark.parametrize(
    "text",
    [
        "[websocket]\nsilence_timeout = 5\nping_intervall = 1",
        "[websokcet]\nping_interval = 1\n[websocket]\nsilence_timeout = 5",
        "websocket = 1",
        "topics = 1",
    ],
)
def test_a_misspelt_operand_is_not_reported_twice(toml, text):
    assert len(mistakes(toml(text))) == 1


def test_a_mistake_that_is_overridden_does_not_stop_the_rules(toml):
    path = toml("[websocket]\nping_interval = 'a'\nsilence_timeout = 20")
    found = mistakes(path, {"WAMPUSH_WEBSOCKET_PING_INTERVAL": "30"})
    assert [each.key for each in found] == ["websocket.ping_interval"] * 2
    assert "silence_timeout (20 s)" in found[1].expected


def test_entries_without_mistakes_are_compared_with_each_other(toml):
    head = "[[topics]]\nmatch = "
    found = mistakes(toml(f"{head}'a*'\n{head}5\n{head}'ab'\n"))
    assert [(each.key, each.line) for each in found] == [
        ("topics[2].match", 4),
        ("topics[3].match", 6),
    ]
    assert "topics[1] ('a*')" in found[1].expected


def test_a_rule_whose_operands_are_defaults_and_one_variable():
    error = refusal(environ={"WAMPUSH_AUTH_ORDER": "callback"})
    assert (error.source, error.key, error.value) == ("environment", "auth.order", ["callback"])
    assert error.expected == (
        'callback.url must be set, because auth.order includes "callback" '
        "(set by WAMPUSH_AUTH_ORDER)"
    )
