"""Permissions in a running daemon: from the file to the wire, the counts and the log."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemon import running_daemon
from tests.support.raw_client import RawClient
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_NO_SUCH_PROCEDURE

RULES = """
[clients]
call = "deny"

[[permissions]]
match = "http://example.com/open/*"
actions = ["subscribe", "publish", "call"]
to = ["anyone"]
max_bytes = 200

[[permissions]]
match = "http://example.com/*"
actions = ["subscribe", "publish"]
to = ["anyone"]
allow = false

[[permissions]]
match = "user.{user}.*"
actions = ["subscribe"]
to = ["authenticated"]

[[permissions]]
match = "user.*"
actions = ["subscribe"]
to = ["anyone"]
allow = false
"""


def test_rules_of_the_file_hold_on_the_wire(tmp_path: Path) -> None:
    (tmp_path / "wampush.toml").write_text(RULES)
    with (
        running_daemon(tmp_path, extra=["--config", "wampush.toml"]) as daemon,
        RawClient(daemon.websocket_port) as reader,
        RawClient(daemon.websocket_port) as writer,
    ):
        daemon.wait_for_log(lambda text: "permissions: 4 entries; " in text)
        reader.send(1, "open", "http://example.com/open/")
        for topic in ("open:a", "http://example.com/closed", "user.7.inbox", "user..inbox", "free"):
            reader.send(5, topic)
        # Calls are answered after what was sent before them.
        reader.send(2, "1", "open:procedure")
        reader.send(2, "2", "http://example.com/procedure")
        assert reader.receive()[:3] == [4, "1", ERROR_NO_SUCH_PROCEDURE]
        refused = reader.receive()
        assert refused[:3] == [4, "2", ERROR_FORBIDDEN]
        assert refused[4] == {"reason": "call-forbidden"}
        for topic in ("http://example.com/closed", "user.7.inbox", "user..inbox"):
            writer.send(7, topic, "hidden")
        writer.send(7, "http://example.com/open/a", "x" * 300)
        writer.send(7, "http://example.com/open/a", "shown")
        writer.send(7, "free", "where no entry decides")
        assert reader.receive() == [8, "http://example.com/open/a", "shown"]
        assert reader.receive() == [8, "free", "where no entry decides"]
        assert daemon.health()["refusals"] == {
            "subscribe-forbidden": 3,
            "call-forbidden": 1,
            "publish-forbidden": 1,
            "publish-too-large": 1,
        }
        why = "user None: permissions[2] denies publish on 'http://example.com/*' to anyone."
        daemon.wait_for_log(lambda text: why in text)
