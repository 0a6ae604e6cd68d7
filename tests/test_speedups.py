"""The extension in C does what the code in Python does, and is used only where it can be."""

from __future__ import annotations

import errno
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.built_extension import build_extension
from tests.support.waiting import PATIENCE, eventually
from wampush import speedups
from wampush.config import sources
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.framing import text_frame_in_python, unmask_in_python
from wampush.edges.websocket.http_upgrade import (
    HandshakeRefused,
    scan_in_python,
)
from wampush.speedups import INTERFACE, NAME, VARIABLE, load, threads_problem


def test_the_extension_is_loaded() -> None:
    extension = SimpleNamespace(INTERFACE=INTERFACE)
    assert load({}, lambda _: extension) == (extension, "C")
    assert load({VARIABLE: "0"}, lambda _: extension) == (extension, "C")


def test_it_can_be_switched_off() -> None:
    def import_(name: str) -> Any:
        raise AssertionError(name)

    assert load({VARIABLE: "1"}, import_) == (None, "Python: WAMPUSH_PURE_PYTHON=1")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ModuleNotFoundError("No module named 'x'"), "the extension is not built"),
        (
            ImportError("undefined symbol: x"),
            "the extension cannot be loaded (undefined symbol: x)",
        ),
    ],
)
def test_without_it_python_is_active(error: ImportError, why: str) -> None:
    def import_(name: str) -> Any:
        assert name == NAME
        raise error

    assert load({}, import_) == (None, f"Python: {why}")


@pytest.mark.parametrize("found", [None, INTERFACE + 1])
def test_an_old_build_is_not_used(found: int | None) -> None:
    extension = SimpleNamespace() if found is None else SimpleNamespace(INTERFACE=found)
    used, why = load({}, lambda _: extension)
    assert used is None
    assert why == f"Python: the extension is of another version ({found}, not {INTERFACE})"


def test_the_variable_is_no_setting() -> None:
    assert sources._PURE_VARIABLE == VARIABLE


def test_what_is_active_is_known() -> None:
    assert (speedups.EXTENSION is not None) == (speedups.ACTIVE == "C")


def test_threads_send_only_with_the_extension() -> None:
    why = "Python: the extension is not built"
    assert threads_problem(1, why) is None
    assert threads_problem(2, "C") is None
    assert threads_problem(2, why) == (
        "process.send_threads = 2 has no effect: threads send only with the extension in C "
        "(Python: the extension is not built)"
    )


# The extension itself. It is built here, so that these tests run wherever there is a compiler.


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The extension, built from the present source."""
    return build_extension(tmp_path_factory.mktemp("extension"))


def test_it_has_the_interface_of_the_code(extension: Any) -> None:
    assert extension.INTERFACE == INTERFACE


@settings(max_examples=300, deadline=None)
@given(key=st.binary(min_size=4, max_size=4), data=st.binary(max_size=200))
def test_it_unmasks_as_python_does(extension: Any, key: bytes, data: bytes) -> None:
    assert extension.unmask(key, data) == unmask_in_python(key, data)
    assert extension.unmask(key, extension.unmask(key, data)) == data


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_a_key_has_four_bytes(extension: Any, key: bytes) -> None:
    with pytest.raises(ValueError, match="four bytes"):
        extension.unmask(key, b"data")


@pytest.mark.parametrize("arguments", [(), (b"abcd",), ("abcd", b""), (b"abcd", bytearray(3))])
def test_unmasking_takes_bytes(extension: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        extension.unmask(*arguments)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_it_frames_texts_as_python_does(extension: Any, size: int, parts: int) -> None:
    text = os.urandom(size)
    middle, last = size // 3, size // 2
    pieces = {1: [text], 2: [text[:last], text[last:]]}.get(
        parts, [text[:middle], text[middle:last], text[last:]]
    )
    assert extension.text_frame(*pieces) == text_frame_in_python(*pieces)
    assert extension.text_frame(*pieces).endswith(text)


@pytest.mark.parametrize(
    "arguments", [(), (b"", b"", b"", b""), ("text",), (b"", bytearray(1)), (b"", b"", None)]
)
def test_a_frame_is_made_of_bytes(extension: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        extension.text_frame(*arguments)


def scanned(head: bytes) -> Any:
    """What Python reads; None if that refuses it."""
    try:
        return scan_in_python(head)
    except HandshakeRefused:
        return None


BROWSER = (
    b"GET /ws?a=b HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive, Upgrade\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nUPGRADE:websocket\r\n"
    b"Origin: \t https://a.b \t\r\n"
    b'Cookie: a=b; c="d"\r\nEmpty:\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
)


HANDSHAKE = (
    b"GET /ws?a=b HTTP/1.1\r\nHost: a.b\r\nConnection: keep-alive, UPGRADE\r\n"
    b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wamp, x\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)


@pytest.mark.parametrize("is_active", [False, True])
def test_usual_handshakes_are_read(
    extension: Any, is_active: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert extension.read_handshake(HANDSHAKE) is not None
    monkeypatch.setattr(http_upgrade, "EXTENSION", extension if is_active else None)
    request = http_upgrade.parse(HANDSHAKE)
    assert isinstance(request, http_upgrade.UpgradeRequest)
    assert request.target == "/ws?a=b"
    assert request.key == "dGhlIHNhbXBsZSBub25jZQ=="
    assert request.subprotocols == ("wamp", "x")
    assert request.headers == scan_in_python(HANDSHAKE)[3]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"GET", b"HEAD"),
        (b"/ws", b"*"),
        (b"/ws", b"http://a.b/ws"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Host: a.b\r\n", b""),
        (b"Upgrade: WebSocket\r\n", b""),
        (b": WebSocket", b": WebSocke"),
        (b"keep-alive, UPGRADE", b"keep-alive"),
        (b"Sec-WebSocket-Version: 13\r\n", b""),
        (b"Version: 13", b"Version: 8"),
        (b"Version: 13", b"Version: 130"),
        (b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b""),
        (b"ZQ==", b"ZQ="),
        (b"ZQ==", b"ZWQ="),
        (b"ZQ==", b"Z==="),
        (b"dGhl", b"d-hl"),
        (b"dGhl", b"\xff\xfe\xff\xfe"),
        (b"Host: a.b", b"Host: a.b\r\nHost: a.b"),
    ],
)
def test_any_other_request_is_left_to_python(extension: Any, before: bytes, after: bytes) -> None:
    assert before in HANDSHAKE
    assert extension.read_handshake(HANDSHAKE.replace(before, after)) is None


@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(0, len(HANDSHAKE) - 1),
    change=st.one_of(st.binary(max_size=2), st.sampled_from([b"\r\n", b":", b"=", b" ", b"A"])),
)
def test_what_is_read_python_reads_likewise(extension: Any, position: int, change: bytes) -> None:
    head = HANDSHAKE[:position] + change + HANDSHAKE[position + 1 :]
    found = extension.read_handshake(head)
    if found is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_upgrade, "EXTENSION", None)
        request = http_upgrade.parse(head)
    assert isinstance(request, http_upgrade.UpgradeRequest)
    assert found == (request.target, request.headers)
    assert request.key == found[1]["sec-websocket-key"]


def test_a_handshake_is_of_bytes(extension: Any) -> None:
    with pytest.raises(TypeError):
        extension.read_handshake("GET / HTTP/1.1")


needs_accept4 = pytest.mark.skipif(
    not hasattr(socket, "SOCK_NONBLOCK"), reason="this system has no accept4"
)


def listening_on(family: int, address: object) -> socket.socket:
    """A socket that listens, and does not block."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.bind(address)  # type: ignore[arg-type]
    except OSError:
        made.close()
        pytest.skip("this system has no such addresses")
    made.listen()
    made.setblocking(False)
    return made


@needs_accept4
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_it_accepts_what_waits(extension: Any, family: int, host: str) -> None:
    with listening_on(family, (host, 0)) as listening:
        with pytest.raises(BlockingIOError):
            extension.accept_some(listening.fileno(), 2)
        clients = [socket.create_connection(listening.getsockname()[:2]) for _ in range(3)]
        accepted = extension.accept_some(listening.fileno(), 2)
        assert len(accepted) == 2
        accepted += extension.accept_some(listening.fileno(), 2)
        assert [address for _, address in accepted] == [each.getsockname() for each in clients]
        for descriptor, address in accepted:
            with socket.socket(fileno=descriptor) as ours:
                assert ours.getpeername() == address
                assert not os.get_blocking(descriptor)
                assert not os.get_inheritable(descriptor)
        for each in clients:
            each.close()


@needs_accept4
def test_other_sockets_are_closed(extension: Any) -> None:
    with (
        listening_on(socket.AF_UNIX, b"\0" + os.urandom(8)) as listening,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(listening.getsockname())
        with pytest.raises(ValueError, match="neither of IPv4 nor of IPv6"):
            extension.accept_some(listening.fileno(), 2)
        assert client.recv(1) == b""


@needs_accept4
@pytest.mark.parametrize("arguments", [(), (1,), ("a", 1), (1, None)])
def test_accepting_takes_numbers(extension: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        extension.accept_some(*arguments)


@needs_accept4
def test_why_nothing_is_accepted_is_known(extension: Any) -> None:
    with pytest.raises(OSError) as found:
        extension.accept_some(-1, 1)
    assert found.value.errno == errno.EBADF


@pytest.mark.parametrize(
    "head",
    [
        BROWSER,
        b"HEAD / HTTP/1.0",
        b"OPTIONS /x HTTP/1.1\r\nA: b",
        b"GET / HTTP/1.1\r\n" + b"a" * 64 + b": b",
    ],
)
def test_usual_requests_are_scanned(extension: Any, head: bytes) -> None:
    found = extension.scan_request(head)
    assert found is not None
    assert found == scan_in_python(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET",
        b"GET ",
        b"GET /",
        b"GET / ",
        b"GET / HTTP/1.",
        b"GET / HTTP/2.0",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET * HTTP/1.1",
        b"GET http://a/ HTTP/1.1",
        b"GETS / HTTP/1.1",
        b"POST / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET /\x80 HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/1.1\r",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\nA: b",
        b"GET / HTTP/1.1\r\nA: b\r\n",
        b"GET / HTTP/1.1\r\nA: b\r",
        b"GET / HTTP/1.1\r\nA: b\r\n\r\nB: c",
        b"GET / HTTP/1.1\r\nA: b\nB: c",
        b"GET / HTTP/1.1\r\nA: b\rB: c",
        b"GET / HTTP/1.1\r\nA: b\x00",
        b"GET / HTTP/1.1\r\nA: \xa0b",
        b"GET / HTTP/1.1\r\nA",
        b"GET / HTTP/1.1\r\n: b",
        b"GET / HTTP/1.1\r\nA : b",
        b"GET / HTTP/1.1\r\n A: b",
        b"GET / HTTP/1.1\r\nA b: c",
        b"GET / HTTP/1.1\r\nA: b\r\n c",
        b"GET / HTTP/1.1\r\nA: b\r\na: c",
        b"GET / HTTP/1.1\r\n" + b"a" * 65 + b": b",
    ],
)
def test_unusual_requests_are_left_to_python(extension: Any, head: bytes) -> None:
    assert extension.scan_request(head) is None


_PIECES = st.sampled_from(
    [b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b":", b": ", b"Host", b"a", b"\t", b"\0"]
) | st.binary(max_size=5)


@settings(max_examples=500, deadline=None)
@given(pieces=st.lists(_PIECES, max_size=20), usual=st.booleans(), at=st.integers(0, len(BROWSER)))
def test_what_is_scanned_is_what_python_reads(
    extension: Any, pieces: list[bytes], usual: bool, at: int
) -> None:
    changes = b"".join(pieces)
    head = BROWSER[:at] + changes + BROWSER[at:] if usual else changes
    found = extension.scan_request(head)
    assert found is None or found == scanned(head)


def test_requests_are_bytes(extension: Any) -> None:
    for wrong in (None, "GET / HTTP/1.1", bytearray(BROWSER), memoryview(BROWSER)):
        with pytest.raises(TypeError):
            extension.scan_request(wrong)


def test_a_scan_keeps_no_references(extension: Any) -> None:
    head = BROWSER[:] + b"x"
    before = sys.getrefcount(head)
    for _ in range(50):
        extension.scan_request(head)
        extension.scan_request(head + b"\r\nhost: a")
    gc.collect()
    assert sys.getrefcount(head) == before


def a_pair() -> tuple[socket.SocketType, socket.socket]:
    """A socket as connections have it, and its other end."""
    near, far = socket.socketpair()
    plain = socket.SocketType(near.family, near.type, near.proto, near.detach())
    plain.setblocking(False)
    return plain, far


@pytest.fixture
def pairs() -> Iterator[list[tuple[Any, socket.socket]]]:
    made = [a_pair() for _ in range(5)]
    yield made
    for near, far in made:
        near.close()
        far.close()


@pytest.fixture(params=[1, 2, 4], ids=lambda count: f"threads={count}")
def send_each(extension: Any, request: pytest.FixtureRequest) -> Any:
    """Sends with one thread or several."""
    if request.param == 1:
        return extension.send_each
    return extension.SendThreads(request.param).send_each


def test_each_gets_its_chunk(send_each: Any, pairs: list[tuple[Any, socket.socket]]) -> None:
    chunks = [b"%d" % number * (number + 1) for number in range(len(pairs))]
    assert send_each([near for near, _ in pairs], chunks) == []
    assert [far.recv(100) for _, far in pairs] == chunks


def test_thousands_at_once(send_each: Any) -> None:
    made = [a_pair() for _ in range(50)]
    handles = [near for near, _ in made] * 100
    assert send_each(handles, [b"x"] * len(handles)) == []
    for near, far in made:
        received = 0
        while received < 100:
            received += len(far.recv(1000))
        assert received == 100
        near.close()
        far.close()


def test_nothing_to_send(send_each: Any) -> None:
    assert send_each([], []) == []


def test_sockets_of_the_library_are_sent_to(send_each: Any) -> None:
    near, far = socket.socketpair()
    with near, far:
        assert send_each([near], [b"x"]) == []
        assert far.recv(2) == b"x"


def test_what_does_not_fit_is_reported(
    send_each: Any, pairs: list[tuple[Any, socket.socket]]
) -> None:
    large = b"y" * 10_000_000
    handles = [near for near, _ in pairs]
    unsent = send_each(handles, [b"a", large, b"b", large, b"c"])
    assert [index for index, _ in unsent] == [1, 3]
    assert all(0 < sent < len(large) for _, sent in unsent)
    # Nothing more fits now.
    assert send_each(handles[1:2], [b"z"]) == [(0, 0)]
    _, far = pairs[1]
    far.setblocking(False)
    read = 0
    while read < unsent[0][1]:
        part = far.recv(1_000_000)
        assert part == b"y" * len(part)
        read += len(part)
    assert read == unsent[0][1]


def test_the_dead_are_reported_and_the_others_served(
    send_each: Any, pairs: list[tuple[Any, socket.socket]]
) -> None:
    pairs[1][1].close()
    pairs[3][0].close()
    unsent = send_each([near for near, _ in pairs], [b"x"] * 5)
    assert unsent == [(1, -errno.EPIPE), (3, -errno.EBADF)]
    assert [pairs[index][1].recv(2) for index in (0, 2, 4)] == [b"x"] * 3


def test_a_descriptor_that_belongs_to_another_connection_by_now_gets_nothing(
    send_each: Any, pairs: list[tuple[Any, socket.socket]]
) -> None:
    """A connection is closed, and the next one gets its descriptor, in the same turn."""
    closed, _ = pairs[0]
    descriptor = closed.fileno()
    theirs, stranger = a_pair()
    closed.close()
    os.dup2(theirs.fileno(), descriptor)
    moved = socket.SocketType(theirs.family, theirs.type, theirs.proto, descriptor)
    stranger.setblocking(False)
    assert send_each([closed, pairs[1][0]], [b"for the first", b"x"]) == [(0, -errno.EBADF)]
    with pytest.raises(BlockingIOError):
        stranger.recv(100)
    for each in (theirs, stranger, moved):
        each.close()


class Counting(socket.socket):
    """Has a method of its own."""

    def send(self, data: Any, flags: int = 0) -> int:
        raise AssertionError((data, flags))


@pytest.mark.parametrize("wrong", [None, 5, b"x", SimpleNamespace(fileno=lambda: 1)])
def test_nothing_is_sent_if_a_handle_is_no_socket(
    send_each: Any, pairs: list[tuple[Any, socket.socket]], wrong: object
) -> None:
    near, far = pairs[0]
    far.setblocking(False)
    with pytest.raises(TypeError, match="not a socket"):
        send_each([near, wrong], [b"x", b"y"])
    with pytest.raises(BlockingIOError):
        far.recv(1)


def test_nor_to_a_socket_with_a_method_of_its_own(send_each: Any) -> None:
    with Counting() as counting, pytest.raises(TypeError, match="not a socket"):
        send_each([counting], [b"x"])


@pytest.mark.parametrize("wrong", [None, "x", bytearray(b"x"), memoryview(b"x")])
def test_nor_if_a_chunk_is_not_bytes(
    send_each: Any, pairs: list[tuple[Any, socket.socket]], wrong: object
) -> None:
    near, far = pairs[0]
    far.setblocking(False)
    with pytest.raises(TypeError):
        send_each([near, near], [b"x", wrong])
    with pytest.raises(BlockingIOError):
        far.recv(1)


def test_nor_if_the_lists_differ_in_length(
    send_each: Any, pairs: list[tuple[Any, socket.socket]]
) -> None:
    near, _ = pairs[0]
    with pytest.raises(ValueError, match="as many chunks as handles"):
        send_each([near, near], [b"x"])


@pytest.mark.parametrize("arguments", [(), ([],), ((), ()), (None, [])])
def test_it_takes_two_lists(send_each: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        send_each(*arguments)


def test_it_keeps_no_references(send_each: Any, pairs: list[tuple[Any, socket.socket]]) -> None:
    near, far = pairs[0]
    chunk = b"chunk of this test"
    handles, chunks = [near] * 3, [chunk] * 3
    before = sys.getrefcount(near), sys.getrefcount(chunk)
    for _ in range(50):
        send_each(handles, chunks)
        far.recv(1000)
        with pytest.raises(TypeError):
            send_each(handles, [chunk, chunk, None])
    gc.collect()
    assert (sys.getrefcount(near), sys.getrefcount(chunk)) == before


def test_lists_may_change_while_it_sends(send_each: Any) -> None:
    """Another thread empties them; what is sent stays alive."""
    near, far = a_pair()
    stop = threading.Event()
    handles: list[Any] = []
    chunks: list[bytes] = []

    def empty() -> None:
        while not stop.is_set():
            chunks.clear()

    thread = threading.Thread(target=empty)
    thread.start()
    far.setblocking(False)
    try:
        for number in range(300):
            handles[:] = [near] * 20
            chunks[:] = [bytes([number % 256]) * 50 for _ in range(20)]
            try:
                send_each(handles, chunks)
            except ValueError:
                # They were of different lengths by then.
                continue
            try:
                data = far.recv(100_000)
            except BlockingIOError:
                continue
            assert set(data) <= {number % 256}
    finally:
        stop.set()
        thread.join()
        near.close()
        far.close()


# Threads that share the sends of a call.


def crowd(size: int) -> list[tuple[Any, socket.socket]]:
    return [a_pair() for _ in range(size)]


def close(pairs: list[tuple[Any, socket.socket]]) -> None:
    for near, far in pairs:
        near.close()
        far.close()


def other_threads() -> set[str]:
    """The threads of this process but this one."""
    found = {each.name for each in Path("/proc/self/task").iterdir()}
    return found - {str(threading.get_native_id())}


def test_a_crowd_gets_everything_in_order(send_each: Any) -> None:
    pairs = crowd(200)
    handles = [near for near, _ in pairs]
    for number in range(30):
        assert send_each(handles, [b"%d,%d;" % (number, index) for index in range(200)]) == []
    for index, (_, far) in enumerate(pairs):
        expected = b"".join(b"%d,%d;" % (number, index) for number in range(30))
        assert far.recv(10_000) == expected
    close(pairs)


def test_in_a_crowd_the_slow_and_the_dead_are_reported_by_their_index(send_each: Any) -> None:
    pairs = crowd(200)
    handles = [near for near, _ in pairs]
    full, dead, closed = range(0, 200, 7), range(3, 200, 7), range(5, 200, 7)
    for index in full:
        pairs[index][0].send(b"y" * 10_000_000)
    for index in dead:
        pairs[index][1].close()
    for index in closed:
        pairs[index][0].close()
    expected = {
        **dict.fromkeys(full, 0),
        **dict.fromkeys(dead, -errno.EPIPE),
        **dict.fromkeys(closed, -errno.EBADF),
    }
    for _ in range(5):
        unsent = send_each(handles, [b"x"] * 200)
        assert [index for index, _ in unsent] == sorted(expected)
        assert dict(unsent) == expected
    for index, (_, far) in enumerate(pairs):
        if index not in expected:
            assert far.recv(10) == b"x" * 5
    close(pairs)


def test_in_a_crowd_descriptors_that_belong_to_others_by_now_get_nothing(send_each: Any) -> None:
    pairs = crowd(100)
    handles = [near for near, _ in pairs]
    gone = {near.fileno() for near, _ in pairs[:50]}
    for near, _ in pairs[:50]:
        near.close()
    newcomers = crowd(50)
    assert gone & {near.fileno() for near, _ in newcomers}
    assert send_each(handles, [b"x"] * 100) == [(index, -errno.EBADF) for index in range(50)]
    for _, far in newcomers:
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(10)
    assert [far.recv(10) for _, far in pairs[50:]] == [b"x"] * 50
    close(pairs + newcomers)


@pytest.mark.parametrize("count", [-1, 0, 1, 17, 10**6])
def test_two_threads_or_a_few_more(extension: Any, count: int) -> None:
    with pytest.raises(ValueError, match=f"from 2 to 16, not {count}"):
        extension.SendThreads(count)


@pytest.mark.parametrize("arguments", [(), ("2",), (2.0,), (2, 3)])
def test_their_number_is_whole(extension: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        extension.SendThreads(*arguments)


def test_threads_end_with_the_object(extension: Any) -> None:
    before = other_threads()
    pool = extension.SendThreads(4)
    assert len(other_threads() - before) == 3
    del pool
    # They have been waited for; the kernel may list one for a moment longer.
    eventually(lambda: other_threads() - before, lambda left: not left)


def test_signals_go_to_other_threads(extension: Any) -> None:
    before = other_threads()
    pool = extension.SendThreads(3)
    for each in other_threads() - before:
        status = Path(f"/proc/self/task/{each}/status").read_text()
        blocked = re.search(r"^SigBlk:\s*(\S+)$", status, re.MULTILINE)
        assert blocked is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2):
            assert int(blocked[1], 16) >> (number - 1) & 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert pool is not None


def test_who_calls_while_another_thread_does_sends_alone(extension: Any) -> None:
    pool = extension.SendThreads(3)
    failures: list[object] = []

    def run() -> None:
        pairs = crowd(70)
        handles = [near for near, _ in pairs]
        for number in range(200):
            chunks = [b"%d,%d" % (number, index) for index in range(70)]
            if (unsent := pool.send_each(handles, chunks)) != []:
                failures.append(unsent)
            received = [far.recv(100) for _, far in pairs]
            if received != chunks:
                failures.append(received)
        close(pairs)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


def in_a_process(extension: Any, code: str) -> subprocess.CompletedProcess[str]:
    """Run code that has a pool, in a process of its own."""
    prepared = f"""
import importlib.util, os, resource, socket, sys
spec = importlib.util.spec_from_file_location("_speedups", {extension.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pairs = [socket.socketpair() for _ in range(100)]
handles = [near for near, _ in pairs]
{code}
"""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", prepared],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_process_may_end_with_them(extension: Any) -> None:
    code = """
pool = module.SendThreads(4)
assert pool.send_each(handles, [b"x"] * 100) == []
# Nothing ends this one.
sys.pool = pool, module
"""
    done = in_a_process(extension, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_process_sends_alone(extension: Any) -> None:
    code = """
pool = module.SendThreads(4)
assert pool.send_each(handles, [b"x"] * 100) == []
child = os.fork()
if child == 0:
    assert len(os.listdir("/proc/self/task")) == 1
    assert pool.send_each(handles, [b"y"] * 100) == []
    assert len(os.listdir("/proc/self/task")) == 1
    del pool
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert pool.send_each(handles, [b"w"] * 100) == []
assert [far.recv(10) for _, far in pairs] == [b"xyw"] * 100
"""
    done = in_a_process(extension, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_that_cannot_be_started_are_an_error(extension: Any) -> None:
    code = """
with open("/proc/self/statm") as statm:
    taken = int(statm.read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
# There is room for one more stack of 8 MiB, and not for two.
resource.setrlimit(resource.RLIMIT_AS, (taken + 15 * 2**20, hard))
try:
    module.SendThreads(5)
except BlockingIOError as error:
    print(error.errno)
"""
    done = in_a_process(extension, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == errno.EAGAIN
