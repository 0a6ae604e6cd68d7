"""A client, as the broker sees it."""

from __future__ import annotations

import pytest

from tests.broker.world import DirectOutbox, FakePeer, RecordingFormat, Wire, World
from tests.support.limits import PREFIX_LIMITS
from wampush.broker.identity import ANONYMOUS
from wampush.broker.subscriber import ClientSession, KeptHandle, Subscriber
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1


@pytest.fixture
def session():
    return WampSession(WAMP1, "test/1", PREFIX_LIMITS)


@pytest.fixture
def outbox():
    return DirectOutbox(100, World().pressure, Wire(), RecordingFormat("", []))


def test_an_idle_client_holds_nothing(session, outbox):
    subscriber = Subscriber(session, outbox)
    assert subscriber.session_id == session.session_id
    assert subscriber.identity is ANONYMOUS
    assert (subscriber.buckets, subscriber.pending, subscriber.handle) == (None, None, None)
    with pytest.raises(AttributeError):
        subscriber.other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_local", [True, False])
def test_its_connection_knows_where_it_is(session, outbox, is_local):
    peer = FakePeer(is_local=is_local)
    assert Subscriber(session, outbox, peer=peer).is_local is is_local


def test_without_a_connection_it_is_not_local(session, outbox):
    assert not Subscriber(session, outbox).is_local


def test_the_session_of_wamp_v1_is_a_client_session(session):
    client: ClientSession = session
    assert client.welcome().startswith(b"[0,")


def test_its_address_is_counted_as_that_of_its_connection(session, outbox):
    assert Subscriber(session, outbox).address_name is None
    assert Subscriber(session, outbox, peer=FakePeer()).address_name == FakePeer().address_name


def test_what_the_application_has_kept_elsewhere_can_travel_on():
    assert KeptHandle({"room": "lobby"}).snapshot() == {"room": "lobby"}
