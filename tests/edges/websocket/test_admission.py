"""Which clients may open a WebSocket, and how many."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs, formatEvent

from tests.edges.websocket.in_memory import MemoryNode, MemoryTransport, request
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.access_log import AccessRecord
from wampush.edges.websocket.admission import Admission, Ticket, TicketState, record_of
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.message_budgets import ClientLimits, MessageBudgets
from wampush.errors import CloseReason
from wampush.net.origins import Origins
from wampush.net.trusted_proxies import Proxies

CLIENT_LIMITS = ClientLimits(queue_bytes=1, messages_per_second=100.0, message_burst=2000)


def admission(*, most: int = 10, per_address: int = 2, trusted: tuple[str, ...] = ()) -> Admission:
    return Admission(
        max_connections=most,
        max_per_address=per_address,
        max_per_user=2,
        origins=Origins(("same-host",), null=False),
        proxies=Proxies.of(trusted),
        budgets=MessageBudgets(CLIENT_LIMITS, 2000.0),
    )


def admitted(judge: Admission, address: str) -> Ticket:
    ticket = judge.arrive(address)
    ticket.admit(address, {})
    return ticket


def refused(judge: Admission, address: str, **headers: str) -> CloseReason:
    ticket = judge.arrive(address)
    with pytest.raises(HandshakeRefused) as caught:
        ticket.admit(address, headers)
    ticket.give_back(0.0)
    return caught.value.reason


def test_an_address_may_open_as_many_as_allowed_and_again_when_one_left():
    judge = admission()
    first = admitted(judge, "192.0.2.1")
    admitted(judge, "192.0.2.1")
    assert refused(judge, "192.0.2.1") is CloseReason.TOO_MANY_FROM_ADDRESS
    admitted(judge, "192.0.2.2")
    first.give_back(0.0)
    admitted(judge, "192.0.2.1")
    assert refused(judge, "192.0.2.1") is CloseReason.TOO_MANY_FROM_ADDRESS


def test_a_user_may_open_as_many_as_allowed_from_anywhere():
    judge = admission()
    tickets = [admitted(judge, f"192.0.2.{number}") for number in range(3)]
    tickets[0].belong_to("7")
    tickets[1].belong_to("7")
    tickets[1].belong_to("7")
    with pytest.raises(HandshakeRefused) as caught:
        tickets[2].belong_to("7")
    assert caught.value.reason is CloseReason.TOO_MANY_OF_USER
    tickets[2].belong_to("8")
    tickets[0].belong_to(None)
    tickets[2].belong_to("7")
    for ticket in tickets:
        ticket.give_back(0.0)
    assert not judge._users


def test_loopback_and_trusted_proxies_are_not_counted():
    judge = admission(most=100, trusted=("10.0.0.0/8",))
    for address in ("127.0.0.1", "::1", "10.1.2.3", "unix socket"):
        for _ in range(3):
            admitted(judge, address)
    # As a socket for both kinds of addresses tells them.
    for address in ("::ffff:127.0.0.1", "::ffff:10.1.2.3"):
        for _ in range(3):
            admitted(judge, address)


def test_an_ipv6_network_of_64_bits_counts_as_one_address():
    judge = admission()
    tickets = [admitted(judge, f"2001:db8:0:1::{number}") for number in (1, 2)]
    assert [ticket.address for ticket in tickets] == ["2001:db8:0:1::1", "2001:db8:0:1::2"]
    with pytest.raises(HandshakeRefused, match=r"from 2001:db8:0:1::/64\.") as caught:
        admitted(judge, "2001:db8:0:1:ffff::")
    assert caught.value.reason is CloseReason.TOO_MANY_FROM_ADDRESS
    admitted(judge, "2001:db8:0:2::1")
    tickets[0].give_back(0.0)
    admitted(judge, "2001:db8:0:1:ffff::")


def test_an_ipv4_address_counts_once_in_both_spellings():
    judge = admission()
    admitted(judge, "192.0.2.1")
    admitted(judge, "::ffff:192.0.2.1")
    for address in ("192.0.2.1", "::ffff:192.0.2.1"):
        assert refused(judge, address) is CloseReason.TOO_MANY_FROM_ADDRESS
    admitted(judge, "::ffff:192.0.2.2")


def test_sockets_of_an_ipv6_network_are_counted_together_before_their_handshakes():
    judge = admission(most=100, per_address=5)
    tickets = [judge.arrive(f"2001:db8::{number:x}") for number in range(5 + 64)]
    assert judge.rejects("2001:db8::ffff") is CloseReason.TOO_MANY_FROM_ADDRESS
    assert judge.rejects("2001:db8:0:1::") is None
    for ticket in tickets:
        ticket.give_back(0.0)
    assert not judge._sockets


def test_no_limit_by_address():
    judge = admission(per_address=0)
    for _ in range(5):
        admitted(judge, "192.0.2.1")


def test_the_limit_in_all_and_the_end():
    judge = admission(most=3)
    tickets = [judge.arrive("192.0.2.1") for _ in range(3)]
    assert judge.connections == 3
    assert refused(judge, "192.0.2.1") is CloseReason.TOO_MANY_CONNECTIONS
    assert judge.connections == 3
    tickets += [judge.arrive("unix socket") for _ in range(63)]
    assert judge.rejects("unix socket") is None
    tickets.append(judge.arrive("unix socket"))
    assert judge.rejects("unix socket") is CloseReason.TOO_MANY_CONNECTIONS
    for ticket in tickets:
        ticket.give_back(0.0)
    assert judge.connections == 0
    judge.stop()
    assert refused(judge, "192.0.2.1") is CloseReason.SHUTTING_DOWN


def test_foreign_origins_are_refused():
    stranger = {"origin": "http://evil.example", "host": "shop.example"}
    assert refused(admission(), "192.0.2.1", **stranger) is CloseReason.ORIGIN_FORBIDDEN


def test_a_page_of_a_stranger_gets_403_with_the_reason():
    node = MemoryNode()
    peer = node.connect()
    peer.send(request("Origin: http://evil.example"))
    answer = peer.take()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"websocket.origins" in answer
    assert b"http://evil.example" in answer
    assert node.ledger.ended[CloseReason.ORIGIN_FORBIDDEN] == 1


def test_a_page_with_another_name_for_this_machine_connects_through_a_proxy_only():
    rebound = {"origin": "http://evil.example:8080", "host": "evil.example:8080"}
    for peer in ("127.0.0.1", "::1"):
        assert refused(admission(), peer, **rebound) is CloseReason.ORIGIN_FORBIDDEN
        admission().arrive(peer).admit(peer, {**rebound, "x-forwarded-for": "192.0.2.7"})
    for peer in ("192.0.2.7", "unix socket"):
        admission().arrive(peer).admit(peer, rebound)


def test_where_other_machines_can_connect_a_page_may_have_any_name():
    judge = admission()
    judge.allow_public_names()
    judge.arrive("127.0.0.1").admit(
        "127.0.0.1", {"origin": "http://www.example.com", "host": "www.example.com:8080"}
    )


def test_the_refusal_of_an_origin_names_the_host_it_was_compared_with():
    node = MemoryNode()
    peer = node.connect()
    peer.send(request("Origin: https://www.example.com"))
    assert b"the host '127.0.0.1'; if the page connects to its own host" in peer.take()
    (line,) = node.lines
    assert "'https://www.example.com'" in line
    assert "the proxy must pass on Host" in line


def test_a_page_of_an_allowed_origin_connects():
    node = MemoryNode(WebSocketSettings(origins=("https://*.example.com",)))
    node.open("Origin: https://shop.example.com")


def test_the_null_origin_is_refused_unless_allowed():
    peer = MemoryNode().connect()
    peer.send(request("Origin: null"))
    answer = peer.take()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"The origin is 'null', which websocket.allow_null_origin = true permits." in answer
    MemoryNode(WebSocketSettings(allow_null_origin=True)).open("Origin: null")


def test_clients_behind_a_trusted_proxy_are_counted_by_their_own_address():
    node = MemoryNode(most_per_address=1, trusted=("127.0.0.1",))
    first = node.open("X-Forwarded-For: 192.0.2.1")
    node.open("X-Forwarded-For: 192.0.2.2")
    second = node.connect()
    second.send(request("X-Forwarded-For: 192.0.2.1"))
    assert second.take().startswith(b"HTTP/1.1 429 ")
    first.lose()
    node.open("X-Forwarded-For: 192.0.2.1")


def test_what_a_trusted_proxy_sends_instead_of_an_address_is_logged_once_a_second():
    node = MemoryNode(most_per_address=1, trusted=("127.0.0.1",))
    with capturedLogs() as events:
        for _ in range(3):
            node.open("X-Forwarded-For: 192.0.2.9, unknown")
    lines = [formatEvent(event) for event in events if "X-Forwarded-For" in formatEvent(event)]
    (line,) = lines
    assert line == (
        "proxy 127.0.0.1: 'unknown' in X-Forwarded-For is not an address; "
        "the client counts under the proxy's address"
    )


def test_one_address_cannot_take_all_places_before_its_handshakes():
    judge = admission(most=1000, per_address=5, trusted=("10.0.0.1",))
    for _ in range(5 + 64):
        for peer in ("10.0.0.1", "127.0.0.1", "unix socket", "192.0.2.1"):
            assert judge.rejects(peer) is None
            ticket = judge.arrive(peer)
    assert judge.rejects("192.0.2.1") is CloseReason.TOO_MANY_FROM_ADDRESS
    for peer in ("192.0.2.2", "10.0.0.1", "127.0.0.1", "unix socket"):
        assert judge.rejects(peer) is None
    ticket.give_back(0.0)
    assert judge.rejects("192.0.2.1") is None


def test_sockets_are_no_longer_counted_when_they_are_gone():
    node = MemoryNode(most_per_address=1)
    address: Any = IPv4Address("TCP", "192.0.2.1", 50000)
    for _ in range(3 * 65):
        connection = node.edge.buildProtocol(address)
        transport = MemoryTransport()
        transport.peerAddr = address
        connection.makeConnection(transport)
        assert not transport.disconnecting
        connection.connectionLost()
    assert not node.edge.shared.admission._sockets


def test_a_ticket_goes_on_in_another_process_whatever_the_limits_are_there():
    judge, other = admission(), admission(most=1, per_address=1)
    ticket = admitted(judge, "192.0.2.1")
    ticket.belong_to("7")
    ticket.on_open(0.0)
    assert all(ticket.spend(0.0) for _ in range(1500))
    state = TicketState(**ticket.snapshot(1.0))
    assert (state.peer, state.address, state.user, state.allowance) == (
        "192.0.2.1",
        "192.0.2.1",
        "7",
        600,
    )
    moved = [other.resume(state, 50.0) for _ in range(3)]
    assert other.connections == 3
    assert refused(other, "192.0.2.1") is CloseReason.TOO_MANY_CONNECTIONS
    assert [moved[0].spend(50.0) for _ in range(601)].count(False) == 1
    for each in moved:
        each.give_back(50.0)
    assert other.connections == 0
    admitted(other, "192.0.2.1").belong_to("7")


def test_what_the_access_log_has_goes_on_in_another_process():
    judge = admission()
    ticket = admitted(judge, "192.0.2.1")
    assert record_of(TicketState(**ticket.snapshot(1.0))) is None
    record = AccessRecord(3.0, "192.0.2.1", "WebSocket /", received=7, sent=9)
    ticket.record = record
    state = TicketState(**ticket.snapshot(1.0))
    assert judge.resume(state, 1.0).record == record
    assert record_of(state) == record


def test_what_most_clients_have_used_is_a_whole_number() -> None:
    """Of which all have the same object."""
    ticket = admitted(admission(), "192.0.2.1")
    ticket.on_open(5.0)
    for now in (5.0, 1000.0):
        assert ticket.spend(now)
        assert type(ticket._used).__name__ == "int"
