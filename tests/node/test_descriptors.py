"""How the limit on open descriptors bounds the connections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wampush.config.settings import Settings
from wampush.net import descriptor_limit
from wampush.node.descriptors import fit_descriptors


def test_connections_fit_into_the_limit(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptor_limit, "raise_descriptor_limit", lambda: (64, 500))
    fitted = fit_descriptors(Settings())
    assert fitted.websocket.max_connections == 186
    assert (fitted.http.max_connections, fitted.zmq.max_connections) == (93, 93)
    (line,) = log
    assert line == (
        "open descriptors: the limit is 500, it was 64; at most 186 clients, 93 HTTP connections "
        "and 93 backends over ZeroMQ"
    )


def test_too_few_for_an_ipc_address_is_a_warning(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptor_limit, "raise_descriptor_limit", lambda: (64, 500))
    settings = Settings()
    zmq = replace(settings.zmq, pull=("ipc:///run/pushes",))
    fit_descriptors(replace(settings, zmq=zmq))
    assert log[1].endswith("can end wampush; raise the limit to 512")
