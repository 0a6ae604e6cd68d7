"""Webhooks as a node has them: which settings bring them, and the file with their secret."""

from __future__ import annotations

import dataclasses

import pytest
from twisted.internet.task import Clock

from wampush.config.settings import Settings
from wampush.config.tables.webhooks import WebhookSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.errors import OperatorError
from wampush.node.build import build

SECRET = "0123456789abcdef" * 2


def node_with(path, *events):
    webhooks = WebhookSettings(
        url="http://127.0.0.1:1/", secret_file=str(path), events=events, procedures=("cart.*",)
    )
    settings = dataclasses.replace(Settings(), zmq=ZmqSettings(pull=()), webhooks=webhooks)
    return build(settings, Clock(), 10)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "hooks.key"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    return path


def test_without_a_url_nothing_is_asked():
    node = build(dataclasses.replace(Settings(), zmq=ZmqSettings(pull=())), Clock(), 10)
    assert node.webhooks is None
    assert node.inspection.status()["webhooks"] is None


def test_with_a_url_the_application_has_its_say(key):
    node = node_with(key, "connect", "call")
    application = node.requests.application
    assert application is not None
    assert application.has_procedure("cart.add")
    assert not application.judges_publishing
    assert node.websocket.shared.rules.connect_hook is not None
    state = node.inspection.status()["webhooks"]
    assert isinstance(state, dict)
    assert state["breakers"] == {"connect": "closed", "call": "closed"}


def test_where_it_does_not_decide_who_connects_nobody_is_asked(key):
    node = node_with(key, "call")
    assert node.websocket.shared.rules.connect_hook is None


def test_it_learns_of_topics_that_match(key):
    node = node_with(key, "occupied")
    assert node.broker.occupancy is not None
    (watch,) = node.broker.occupancy._watches
    patterns, listener = watch.patterns, watch.listener
    assert not watch.is_of_node
    assert patterns == ("*",)
    listener("a", True)
    assert node.inspection.status()["webhooks"]["topics_waiting"] == 1
    assert node_with(key, "call").broker.occupancy._watches == ()


@pytest.mark.parametrize(
    ("content", "words"), [(SECRET[1:], "holds 31 bytes; a secret needs"), (None, "cannot be read")]
)
def test_without_a_secret_it_does_not_start(key, content, words):
    key.unlink()
    if content is not None:
        key.write_text(f"{content}\n", encoding="utf-8")
    with pytest.raises(OperatorError, match=words) as caught:
        node_with(key, "call")
    assert "webhooks.secret_file" in str(caught.value)
    assert SECRET[1:] not in str(caught.value)


def test_the_secret_is_read_again(key):
    node = node_with(key, "call")
    assert node.webhooks is not None
    other = "fedcba9876543210" * 2
    key.write_text(other, encoding="utf-8")
    node.webhooks.reload()
    assert node.webhooks.application._secret == other.encode()
    key.write_text("short", encoding="utf-8")
    node.webhooks.reload()
    assert node.webhooks.application._secret == other.encode()


def test_at_the_end_nothing_is_left(key):
    node = node_with(key, "call", "disconnect")
    assert node.webhooks is not None
    assert node.webhooks.stop(5.0).called
