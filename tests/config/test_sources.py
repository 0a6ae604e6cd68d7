"""Reading the sources: file, environment and command line, and the mistakes in them."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest

from tests.config.refusals import mistakes, refusal
from wampush.config.load import load


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
        ("WAMPUSH_PURE_PYTHON", "yes", "WAMPUSH_PURE_PYTHON", ""),
        ("WAMPUSH_PURE_PYTHO", "1", "WAMPUSH_PURE_PYTHO", "WAMPUSH_PURE_PYTHON"),
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


@pytest.mark.parametrize("text", ["0", "1"])
def test_the_switch_of_the_extension_is_no_setting(text):
    assert load(None, {"WAMPUSH_PURE_PYTHON": text}, {}).settings == load(None, {}, {}).settings


def test_unknown_overrides():
    error = refusal(overrides={"websocket.lisen": ["tcp:1"]})
    assert (error.source, error.suggestion) == ("command line", "websocket.listen")
    assert refusal(overrides={"topics": "a"}).key == "topics"
    assert refusal(overrides={"topics": [{"match": 1}]}).key == "topics[1].match"
    assert refusal(overrides={"zmq.pull": [object()]}).value == "a Python object"


def test_lists_of_tables_can_not_come_from_the_environment():
    error = refusal(environ={"WAMPUSH_PERMISSIONS": "x"})
    assert "[[permissions]] can be set only in the file" in str(error)


def test_a_byte_order_mark_is_skipped(toml):
    path = toml(b"\xef\xbb\xbf# a comment\n[limits]\ntopic_bytes = 10\n")
    assert load(path, {}, {}).settings.limits.topic_bytes == 10
    assert refusal(toml(b"\xef\xbb\xbf[limits]\ntopic_bytes = 0")).line == 2


def test_a_number_of_too_many_digits_has_no_line(toml):
    error = refusal(toml(f"\na = {'1' * 5000}"))
    assert error.line is None
    assert "is not TOML: Exceeds the limit" in error.expected


def test_all_mistakes_of_all_sources_are_reported_at_once(toml):
    path = toml("[http]\nlisten = ''\n[[routes]]\npath = 'x'\n[zmq]\npul = []\nallow = ['x']")
    environ = {"WAMPUSH_X": "1", "WAMPUSH_HTTP_LISTEN": "", "WAMPUSH_LIMITS_TOPICS": "0"}
    found = mistakes(path, environ, {"a.b": 1, "zmq.pull": 5}, ["tls.key", "zmq.ipc_mode=8"])
    assert [(each.source, each.line, each.key) for each in found] == [
        (str(path), 2, "http.listen"),
        (str(path), 3, "routes[1].component"),
        (str(path), 4, "routes[1].path"),
        (str(path), 6, "zmq.pul"),
        (str(path), 7, "zmq.allow"),
        ("environment", None, "http.listen"),
        ("environment", None, "limits.topics"),
        ("environment", None, "WAMPUSH_X"),
        ("command line", None, "a.b"),
        ("command line", None, "zmq.pull"),
        ("command line", None, "--set"),
        ("command line", None, "zmq.ipc_mode"),
    ]


def test_a_file_that_cannot_be_read_does_not_hide_the_other_sources(tmp_path):
    first, second = mistakes(tmp_path / "none.toml", {}, {}, ["limits.topics=0", "auth.order=cra"])
    assert "No such file" in first.expected
    assert second.key == "limits.topics"


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("# [websocket]\n\n[websocket]\nping_interval = 0 # s", "websocket.ping_interval", 4),
        ("websocket.ping_interval = 0", "websocket.ping_interval", 1),
        ("http = {listen = 'off'}\nzmq = {ipc_mode = 1}", "zmq.ipc_mode", 2),
        ("[websocket]\nlisten = [\n  'tcp:1',\n  2,\n]\n", "websocket.listen", 4),
        ("[websocket]\nlisten = ['''\n''']\n'p q' = 1", "websocket.listen", 2),
        ("[[topics]]\nmatch = 'a'\n[[topics]]\nslow_client = 'latest'", "topics[2].match", 3),
        ("topics = [{match = 'a'},\n{match = ''}]", "topics[2].match", 2),
        ("[topics]\nmatch = 'a'", "topics", 1),
        ("[http]\n[zmq]\n[zmqq]", "zmqq", 3),
        ("\n\nhttp = 1", "http", 3),
        ("[http]\nlisten = ['a']\n\n[limits]\nqueued_bytes = 1024", "http.listen", 2),
        (
            (
                "pushes.max_message_bytes = 64\nclients.queue_bytes = 900_000\n"
                "limits.queued_bytes = 800_000"
            ),
            "limits.queued_bytes",
            3,
        ),
    ],
)
def test_the_line_of_a_mistake(toml, text, key, line):
    found = mistakes(toml(text))[0]
    assert (found.key, found.line) == (key, line)
    assert str(found).startswith(f"{found.source}:{line}: {key}")


# --set


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("websocket.ping_interval=20", "websocket.ping_interval", 20.0),
        ("websocket.max_connections = 1_000", "websocket.max_connections", 1000),
        ("websocket.compression=true", "websocket.compression", True),
        ("clients.publish=never", "clients.publish", "never"),
        ('clients.publish="never"', "clients.publish", "never"),
        ("tls.minimum_version=1.3", "tls.minimum_version", "1.3"),
        ("zmq.ipc_mode=0660", "zmq.ipc_mode", "0660"),
        ("zmq.ipc_mode=660", "zmq.ipc_mode", "660"),
        ("pushes.topic_key=a=b", "pushes.topic_key", "a=b"),
        ("pushes.topic_key='a'\nb=1", "pushes.topic_key", "'a'\nb=1"),
        ("token.cookie=", "token.cookie", ""),
        ("zmq.pull=[]", "zmq.pull", ()),
        ("zmq.pull=ipc:///a, ipc:///b", "zmq.pull", ("ipc:///a", "ipc:///b")),
        ('zmq.pull=["ipc:///a,b"]', "zmq.pull", ("ipc:///a,b",)),
        ("apps=a:b", "apps", ("a:b",)),
    ],
)
def test_set_takes_toml_or_bare_words(assignment, key, value):
    loaded = load(None, {}, {}, [assignment])
    assert attrgetter(key)(loaded.settings) == value
    assert loaded.origins[key] == "command line"


def test_set_overrides_every_other_source(toml):
    path = toml("[limits]\ntopics = 1")
    environ = {"WAMPUSH_LIMITS_TOPICS": "2"}
    loaded = load(path, environ, {"limits.topics": 3}, ["limits.topics=4", "limits.topics=5"])
    assert loaded.settings.limits.topics == 5


def test_set_takes_lists_of_tables():
    loaded = load(None, {}, {}, ['topics=[{match = "a", presence = true}]'])
    assert loaded.settings.topics[0].presence


@pytest.mark.parametrize(
    ("assignment", "key", "expected"),
    [
        ("x", "--set", "must be KEY=VALUE, such as websocket.ping_interval=20"),
        ("=1", '""', "no setting has this name"),
        ("websocket.ping_intervall=1", "websocket.ping_intervall", "no setting has this name"),
        ("websocket={ping_interval = 1}", "websocket", "must be a table that begins with"),
        ("websocket.ping_interval=fast", "websocket.ping_interval", "must be a number from 0.01"),
        ("websocket.ping_interval=[1]", "websocket.ping_interval", "not a list"),
        ("websocket.compression=yes", "websocket.compression", "must be true or false"),
        ("clients.publish=sometimes", "clients.publish", 'must be "auto", "always" or "never"'),
        ("zmq.allow=x", "zmq.allow", "must be an IP address"),
        ("topics=a", "topics", "must be a list of tables"),
        (f"apps={'[' * 5000}", "apps", "must be the name of a Python object"),
    ],
)
def test_unusable_assignments(assignment, key, expected):
    error = refusal(assignments=[assignment])
    assert (error.source, error.key) == ("command line", key)
    assert expected in error.expected


def test_a_misspelt_assignment_has_a_suggestion():
    assert refusal(assignments=["websocket.ping_interva=1"]).suggestion == "websocket.ping_interval"
    assert refusal(assignments=["websokcet.dialect=ratchet"]).suggestion == "websocket.dialect"
