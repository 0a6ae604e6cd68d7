"""The rule of ``[http]``."""

from __future__ import annotations

from tests.config.refusals import refusal
from wampush.config.load import load
from wampush.config.tables.websocket import WebSocketSettings


def test_http_and_websocket_must_not_share_an_endpoint():
    error = refusal(overrides={"http.listen": WebSocketSettings().listen[0]})
    assert (error.key, error.value) == ("http.listen", WebSocketSettings().listen[0])


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
