"""The configuration: sources, their order, strictness, and checks between settings."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from pathlib import Path

import pytest

from tests.config.refusals import mistakes, refusal
from wampush.choices import Action, SlowClient
from wampush.config.load import as_toml, describe, load
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, Settings
from wampush.config.tables.clients import TopicSettings
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.websocket import WebSocketSettings


@pytest.fixture
def toml(tmp_path):
    """Write a TOML file and give its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "wampush.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_nothing_given_means_the_defaults():
    loaded = load(None, {}, {})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.websocket.listen == ("tcp:8080:interface=127.0.0.1",)
    assert loaded.settings.zmq.pull == ("tcp://127.0.0.1:5555",)
    assert loaded.settings.http.listen == "tcp:8081:interface=127.0.0.1"


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Settings().websocket, "dialect", "ratchet")  # noqa: B010


def test_every_default_is_usable():
    for key, each in FIELDS.items():
        assert attrgetter(key)(Settings()) == each.default
        assert each.check.check(each.default) == each.default
        assert each.reason.endswith((".", "`)"))
    for known in LIST_FIELDS.values():
        for each in known.values():
            assert each.is_required or each.check.check(each.default) == each.default


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
        "[zmq]\npull = ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:2']"
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("false", False)],
)
def test_booleans_of_the_environment(text, expected):
    loaded = load(None, {"WAMPUSH_WEBSOCKET_COMPRESSION": text}, {})
    assert loaded.settings.websocket.compression is expected


def test_numbers_of_the_environment():
    environ = {"WAMPUSH_WEBSOCKET_PING_INTERVAL": "1.5", "WAMPUSH_LIMITS_TOPIC_BYTES": "+7"}
    settings = load(None, environ, {}).settings
    assert settings.websocket.ping_interval == 1.5
    assert settings.limits.topic_bytes == 7


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        ("[websocket]\nping_intervall = 1", "websocket.ping_intervall", "websocket.ping_interval"),
        ("[websokcet]", "websokcet", "websocket"),
        ("[topic]", "topic", "topics"),
        ("[limits]\nqueue_bytes = 1", "limits.queue_bytes", "limits.queued_bytes"),
        ("[http]\nhigh_water_mark = 1", "http.high_water_mark", "zmq.high_water_mark"),
        ("dialect = 'wamp1'", "dialect", "websocket.dialect"),
        ("[zmq]\nqqqqqqqq = 1", "zmq.qqqqqqqq", ""),
        ("[zmq]\napps = []", "zmq.apps", ""),
        ("[[topics]]\nmacth = 'a'", "topics[1].macth", "topics[1].match"),
        ('"a\\nb" = 1', '"a\\nb"', ""),
        (f"{'x' * 500} = 1", f"{'x' * 100}…", ""),
    ],
)
def test_unknown_keys(toml, text, key, suggestion):
    path = toml(text)
    error = refusal(path)
    assert (error.source, error.key, error.suggestion) == (str(path), key, suggestion)
    assert "no setting has this name" in error.expected


@pytest.mark.parametrize("table", ["[http]", "[[topics]]\nmatch = 'a'"])
def test_what_stands_before_the_tables_is_told_where_to_go(toml, table):
    error = refusal(toml(f"{table}\napps = ['shop:app']"))
    assert error.expected.endswith('; put "apps" before the first [table]')


@pytest.mark.parametrize(
    ("section", "key", "literal", "value", "expected"),
    [
        ("websocket", "max_connections", "true", True, "not a boolean"),
        ("websocket", "max_connections", "'5'", "5", "not a string"),
        ("websocket", "max_connections", "5.0", 5.0, "not a number with a decimal point"),
        ("websocket", "max_connections", "0", 0, "from 1 to 10000000 (unit: connections)"),
        ("websocket", "max_connections", "1979-05-27", "1979-05-27", "not a date"),
        ("websocket", "ping_interval", "false", False, "not a boolean"),
        ("websocket", "ping_interval", "nan", None, "a number from 0.01 to 86400 (unit: s)"),
        ("websocket", "ping_interval", "inf", float("inf"), "a number from"),
        ("websocket", "ping_interval", "-1", -1, "a number from"),
        ("websocket", "compression", "1", 1, "true or false, not a whole number"),
        ("websocket", "dialect", "'wamp2'", "wamp2", '"wamp1" or "ratchet"'),
        ("websocket", "dialect", "[]", [], "not a list"),
        ("websocket", "listen", "'tcp:1'", "tcp:1", "a list of at least one element"),
        ("websocket", "listen", "[]", [], "at least one element"),
        ("websocket", "listen", "['tcp:1', 2]", 2, "not a whole number"),
        ("websocket", "listen", "['tcp:1', 'tcp:1']", "tcp:1", "in the list only once"),
        ("websocket", "listen", "['']", "", "endpoint string"),
        ("websocket", "listen", "['8080']", "8080", "tcp:8080:interface=127.0.0.1, or tcp:8080"),
        ("websocket", "listen", "['127.0.0.1:8080']", "127.0.0.1:8080", "tcp:8080:interface="),
        ("websocket", "listen", "['ws://x:80']", "ws://x:80", "tcp:80:interface=x"),
        ("websocket", "listen", "['off']", "off", "endpoint string"),
        ("http", "listen", "''", "", 'or "off"'),
        ("http", "listen", "false", False, 'or "off"'),
        ("pushes", "topic_key", "''", "", "not empty"),
        ("pushes", "topic_key", "1", 1, "not a whole number"),
        ("zmq", "high_water_mark", "0", 0, "from 1"),
        ("pushes", "max_message_bytes", "{a = 1}", {"a": 1}, "not a table"),
        ("limits", "topic_bytes", f"0x{'f' * 9000}", "a number of 36000 bits", "from 1 to"),
    ],
)
def test_unusable_values(toml, section, key, literal, value, expected):
    path = toml(f"[{section}]\n{key} = {literal}")
    error = refusal(path)
    assert (error.source, error.key) == (str(path), f"{section}.{key}")
    if value is not None:
        assert error.value == value
        assert type(error.value) is type(value)
    assert expected in error.expected


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1:5555",
        "tcp://*:5555",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:0",
        "tcp://[::1]:5555",
        "tcp://eth0:65535",
        "ipc:///run/push",
        "ipc://@abstract",
        "ipc://*",
        "connect:tcp://backend.example:5555",
        "connect:ipc:///run/push",
    ],
)
def test_pull_addresses(address):
    assert load(None, {}, {"zmq.pull": (address,)}).settings.zmq.pull == (address,)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "5555",
        "tcp:5555",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5555",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:http",
        "tcp://127.0.0.1:5555/",
        "tcp://::1:5555",
        " tcp://127.0.0.1:5555",
        "tcp://127.0.0.1:5555\n",
        "tcp://127.0.0.1:\u0665\u0665\u0665\u0665",
        "ipc://",
        f"ipc://{'a' * 108}",
        "ipc:///run/\udcff",
        "inproc://a",
        "udp://127.0.0.1:5555",
        "bind:tcp://127.0.0.1:5555",
        "connect:",
        "connect:tcp://*:5555",
        "connect:tcp://127.0.0.1:*",
        "connect:tcp://127.0.0.1:0",
        "connect:ipc://*",
        "connect:connect:tcp://127.0.0.1:5555",
    ],
)
def test_unusable_pull_addresses(address):
    error = refusal(overrides={"zmq.pull": [address]})
    assert (error.source, error.key, error.value) == ("command line", "zmq.pull", address)
    assert "tcp://HOST:PORT or ipc://PATH" in error.expected


def test_an_address_whose_port_the_system_chooses_may_stand_twice():
    anywhere = "tcp:0:interface=127.0.0.1"
    settings = load(
        None,
        {},
        {
            "websocket.listen": [anywhere, anywhere],
            "http.listen": anywhere,
            "zmq.pull": ["tcp://127.0.0.1:*", "tcp://127.0.0.1:*"],
        },
    ).settings
    assert len(settings.websocket.listen) == 2


def test_nothing_has_to_be_pulled():
    assert load(None, {}, {"zmq.pull": []}).settings.zmq.pull == ()


def test_tables_must_be_tables(toml):
    assert refusal(toml("zmq = 1")).key == "zmq"
    assert "begins with [zmq]" in refusal(toml("[[zmq]]")).expected
    assert "[[topics]]" in refusal(toml("[topics]\nmatch = 'a'")).expected
    assert "[[topics]]" in refusal(toml("topics = [1]")).expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[websocket]\nlisten = \n", ":2: is not TOML at column 10: "),
        ("[websocket]\n\n[websocket]", ":3: is not TOML at column 11: "),
        ('[websocket]\ndialect = """a\n', ":2: is not TOML at the end of the file: "),
        (b"a = 1\nb = '\xff'", ":2: is not UTF-8"),
    ],
)
def test_a_file_that_is_no_toml(toml, text, line):
    path = toml(text)
    error = refusal(path)
    assert (error.source, error.key) == (str(path), "")
    assert str(error).startswith(f"{path}{line}")


@pytest.mark.parametrize("text", [f"a = {'[' * 5000}", f"a = {'1' * 5000}"])
def test_toml_that_the_parser_chokes_on(toml, text):
    assert refusal(toml(text)).key == ""


def test_long_values_are_cut_in_the_error(toml):
    error = refusal(toml(f"x = [{{a = [[{'1, ' * 50}]]}}, '{'y' * 5000}', {'1, ' * 50}]"))
    assert len(str(error)) < 600
    wide = ", ".join(f"k{number} = 1" for number in range(20))
    assert len(str(refusal(toml(f"x = {{{wide}}}")))) < 300


def test_files_that_cannot_be_read(tmp_path):
    missing = refusal(tmp_path / "missing.toml")
    assert missing.source.endswith("missing.toml")
    assert "No such file" in missing.expected
    assert "directory" in refusal(tmp_path).expected
    assert "cannot be read" in refusal(Path("a\0b")).expected
    assert (
        "No such file" in refusal(None, {"WAMPUSH_CONFIG": str(tmp_path / "missing.toml")}).expected
    )


@pytest.mark.parametrize(
    ("variable", "text", "key", "suggestion"),
    [
        ("WAMPUSH_WEBSOCKET_LISTN", "tcp:1", "WAMPUSH_WEBSOCKET_LISTN", "WAMPUSH_WEBSOCKET_LISTEN"),
        ("WAMPUSH_CONFG", "x", "WAMPUSH_CONFG", "WAMPUSH_CONFIG"),
        ("WAMPUSH_CONFIG", "", "WAMPUSH_CONFIG", ""),
        ("WAMPUSH_", "x", "WAMPUSH_", ""),
        ("WAMPUSH_TOPICS", "a", "WAMPUSH_TOPICS", ""),
        ("WAMPUSH_ZMQ_PULL", "", "zmq.pull", ""),
        ("WAMPUSH_ZMQ_PULL", "tcp://127.0.0.1:1,", "zmq.pull", ""),
        ("WAMPUSH_WEBSOCKET_COMPRESSION", "1", "websocket.compression", ""),
        ("WAMPUSH_WEBSOCKET_PING_INTERVAL", "nan", "websocket.ping_interval", ""),
        ("WAMPUSH_WEBSOCKET_PING_INTERVAL", "1e999", "websocket.ping_interval", ""),
        ("WAMPUSH_LIMITS_TOPIC_BYTES", "1_000", "limits.topic_bytes", ""),
        ("WAMPUSH_LIMITS_TOPIC_BYTES", "\u0663", "limits.topic_bytes", ""),
        ("WAMPUSH_LIMITS_TOPIC_BYTES", "9" * 5000, "limits.topic_bytes", ""),
        ("WAMPUSH_PUSHES_TOPIC_KEY", "\udcff", "pushes.topic_key", ""),
        ("WAMPUSH_HTTP_LISTEN", "of", "http.listen", ""),
    ],
)
def test_unusable_environment(variable, text, key, suggestion):
    error = refusal(environ={variable: text})
    assert (error.source, error.key, error.suggestion) == ("environment", key, suggestion)
    assert variable in str(error)


def test_unknown_overrides():
    error = refusal(overrides={"websocket.lisen": ["tcp:1"]})
    assert (error.source, error.suggestion) == ("command line", "websocket.listen")
    assert refusal(overrides={"topics": "a"}).key == "topics"
    assert refusal(overrides={"topics": [{"match": 1}]}).key == "topics[1].match"
    assert refusal(overrides={"zmq.pull": [object()]}).value == "a Python object"


def test_a_value_that_is_overridden_is_checked_too(toml):
    path = toml("[clients]\nqueue_bytes = 'many'")
    error = refusal(path, {"WAMPUSH_CLIENTS_QUEUE_BYTES": "4096"})
    assert error.source == str(path)


@pytest.mark.parametrize("timeout", ["30", "29.5"])
def test_silence_must_outlast_the_ping_interval(timeout):
    error = refusal(environ={"WAMPUSH_WEBSOCKET_SILENCE_TIMEOUT": timeout})
    assert (error.source, error.key) == ("environment", "websocket.silence_timeout")
    assert "longer than websocket.ping_interval (30 s)" in error.expected


def test_of_two_values_at_odds_the_one_that_was_set_last_is_named(toml):
    path = toml("[websocket]\nsilence_timeout = 20\nping_interval = 10")
    error = refusal(path, {"WAMPUSH_WEBSOCKET_PING_INTERVAL": "40"})
    assert (error.source, error.key) == ("environment", "websocket.ping_interval")
    assert error.value == 40


def test_the_queue_of_one_client_must_fit_into_all_queues():
    settings = load(None, {}, {"limits.queued_bytes": 5000, "clients.queue_bytes": 5000}).settings
    assert settings.limits.queued_bytes == settings.clients.queue_bytes
    error = refusal(overrides={"clients.queue_bytes": 268_435_457})
    assert (error.source, error.key) == ("command line", "clients.queue_bytes")


def test_http_and_websocket_must_not_share_an_endpoint():
    error = refusal(overrides={"http.listen": WebSocketSettings().listen[0]})
    assert (error.key, error.value) == ("http.listen", WebSocketSettings().listen[0])


@pytest.mark.parametrize(
    ("matches", "key", "expected"),
    [
        (["a", "a"], "topics[2].match", "never reached"),
        (["*", "a"], "topics[2].match", "never reached"),
        (["a*", "b", "ab*"], "topics[3].match", "topics[1]"),
        ([""], "topics[1].match", "a topic, or a prefix"),
        (["a*b"], "topics[1].match", "a topic, or a prefix"),
        (["a**"], "topics[1].match", "a topic, or a prefix"),
        (["ö" * 513], "topics[1].match", "allows 1024 bytes"),
        ([None], "topics[1].match", "is missing"),
    ],
)
def test_unusable_topics(matches, key, expected):
    entries = [{} if match is None else {"match": match} for match in matches]
    error = refusal(overrides={"topics": entries})
    assert error.key == key
    assert expected in str(error)


def test_topics_from_narrow_to_wide():
    entries = [{"match": match} for match in ("ab", "ab*", "a*", "*")]
    assert len(load(None, {}, {"topics": entries}).settings.topics) == 4


RULE = {"match": "a", "actions": ["subscribe"], "to": ["anyone"]}


@pytest.mark.parametrize(
    ("entries", "key", "expected"),
    [
        ({}, "permissions", "a list of tables"),
        ([1], "permissions[1]", "a table"),
        ([{}], "permissions[1].match", "is missing"),
        ([{"match": "a"}], "permissions[1].actions", "is missing; it must be a list"),
        ([{"match": "a", "actions": ["call"]}], "permissions[1].to", '"anyone"'),
        ([{**RULE, "mach": "b"}], "permissions[1].mach", 'did you mean "permissions[1].match"'),
        ([{**RULE, "match": ""}], "permissions[1].match", "a topic, or a prefix"),
        ([{**RULE, "match": "a*b"}], "permissions[1].match", "a topic, or a prefix"),
        ([{**RULE, "match": "ö" * 513}], "permissions[1].match", "allows 1024 bytes"),
        ([{**RULE, "match": "u.{usr}.x"}], "permissions[1].match", "no other braces"),
        ([{**RULE, "match": "u.{user}*"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "u.{user}{group}"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "u{user}"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "match": "{user}s.x"}], "permissions[1].match", "separators such as"),
        ([{**RULE, "actions": []}], "permissions[1].actions", "at least one element"),
        ([{**RULE, "actions": "call"}], "permissions[1].actions", "a list of"),
        ([{**RULE, "actions": ["read"]}], "permissions[1].actions", '"subscribe"'),
        (
            [{**RULE, "actions": ["call", "call"]}],
            "permissions[1].actions",
            "in the list only once",
        ),
        ([{**RULE, "to": ["alice"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": ["user:"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": ["role:x"]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "to": [7]}], "permissions[1].to", '"user:ID"'),
        ([{**RULE, "allow": "no"}], "permissions[1].allow", "true or false"),
        ([{**RULE, "max_bytes": 9}], "permissions[1].max_bytes", "has no payload"),
        ([{**RULE, "max_bytes": -1}], "permissions[1].max_bytes", "whole number"),
        (
            [{**RULE, "allow": False, "per_second": 1}],
            "permissions[1].per_second",
            "nothing to limit",
        ),
        ([RULE, RULE], "permissions[2].match", "permissions[1] ('a') decides the same"),
        ([{**RULE, "match": "*"}, {**RULE, "match": "a.{user}"}], "permissions[2].match", "never"),
        (
            [{**RULE, "to": ["authenticated"]}, {**RULE, "to": ["user:7"]}],
            "permissions[2].match",
            "never reached",
        ),
    ],
)
def test_unusable_permissions(entries, key, expected):
    error = mistakes(overrides={"permissions": entries})[0]
    assert error.key == key
    assert expected in str(error)


def test_permissions_that_only_look_alike():
    entries = [
        RULE,
        {**RULE, "actions": ["subscribe", "call"]},
        {**RULE, "match": "b.{user}.*", "to": ["user:7", "group:staff"]},
        {**RULE, "match": "b.{user}.x", "to": ["authenticated"], "allow": False},
        {**RULE, "match": "c*", "to": ["authenticated"]},
        {**RULE, "match": "cd", "to": ["user:7", "group:staff"]},
    ]
    kept = load(None, {}, {"permissions": entries}).settings.permissions
    assert len(kept) == len(entries)
    assert kept[2] == PermissionSettings(
        "b.{user}.*", (Action.SUBSCRIBE,), ("user:7", "group:staff")
    )
    assert (kept[0].allow, kept[0].max_bytes, kept[0].per_second) == (True, 0, 0.0)


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ("user.{user}", 'must be a list with each element a topic such as "user.{user}"'),
        ([1], "a topic such as"),
        ([""], "a topic such as"),
        (["a*"], 'has no "*"'),
        (["a*b"], 'has no "*"'),
        (["{user}"], "begins with text"),
        (["{group}.a"], "begins with text"),
        (["u{user}"], "separators such as"),
        (["u.{user}s"], "separators such as"),
        (["u.{user}{group}"], "separators such as"),
        (["u.{usr}"], "no other braces"),
        (["u.{"], "no other braces"),
        (["a", "a"], "in the list only once"),
        (["ö" * 513], "limits.topic_bytes allows 1024 bytes"),
        (["ö" * 512 + ".{user}"], "limits.topic_bytes allows 1024 bytes"),
    ],
)
def test_unusable_automatic_topics(topics, expected):
    error = refusal(overrides={"clients.auto_subscribe": topics})
    assert error.key == "clients.auto_subscribe"
    assert expected in str(error)


def test_automatic_topics(toml):
    text = '[clients]\nauto_subscribe = ["user.{user}", "in/{group}/of/{user}", "broadcast"]'
    kept = load(toml(text), {}, {}).settings.clients.auto_subscribe
    assert kept == ("user.{user}", "in/{group}/of/{user}", "broadcast")
    variable = {"WAMPUSH_CLIENTS_AUTO_SUBSCRIBE": "user.{user}, broadcast"}
    assert load(toml(text), variable, {}).settings.clients.auto_subscribe == (
        "user.{user}",
        "broadcast",
    )
    longest = "ö" * 511 + ".{user}"
    assert load(None, {}, {"clients.auto_subscribe": [longest]})


def test_lists_of_tables_can_not_come_from_the_environment():
    error = refusal(environ={"WAMPUSH_PERMISSIONS": "x"})
    assert "[[permissions]] can be set only in the file" in str(error)


def test_description_names_value_and_origin(toml):
    path = toml("[websocket]\nping_interval = 20\n[[topics]]\nmatch = 'a'")
    rows = {row.key: row for row in describe(load(path, {}, {}))}
    assert rows["websocket.ping_interval"] == ("websocket.ping_interval", 20.0, f"file {path}")
    assert rows["topics[1].match"][1:3] == ("a", f"file {path}")
    assert rows["topics[1].slow_client"].value == "disconnect"
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
