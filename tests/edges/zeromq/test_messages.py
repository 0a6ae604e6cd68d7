"""Messages are read the same way by pyzmq and by the extension."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.built_extension import build_extension
from tests.support.waiting import PATIENCE
from wampush.edges.zeromq.messages import (
    FUNCTIONS,
    MAX_PARTS,
    Receive,
    addresses,
    receive_in_python,
    receiver,
)

MUCH: Final = 1 << 30


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The extension, built from the present source."""
    return build_extension(tmp_path_factory.mktemp("extension"))


@pytest.fixture(params=["pyzmq", "extension"])
def receive(request: pytest.FixtureRequest) -> Receive:
    """What reads messages."""
    if request.param == "pyzmq":
        return receive_in_python
    return receiver(request.getfixturevalue("extension"))


@pytest.fixture
def pair() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """A socket that pushes, and one that pulls from it, within the process."""
    context = zmq.Context()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    # What is sent first arrives first, and at once.
    pull.bind("inproc://messages")
    push.connect("inproc://messages")
    yield push, pull
    push.close(0)
    pull.close(0)
    context.term()


def send(push: zmq.Socket[bytes], *messages: list[bytes]) -> None:
    for each in messages:
        push.send_multipart(each)


def test_a_lone_message_is_read_and_nothing_waits(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"one"])
    assert receive(pull, False, 16, MUCH) == ([[b"one"]], 1, False, True)


def test_where_nothing_waits_a_step_finds_out(receive: Receive, pair: Any) -> None:
    assert receive(pair[1], False, 16, MUCH) == ([], 1, False, True)


def test_several_messages_are_read_up_to_the_limit(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"a"], [b"t", b"1"], [b""], [b"t", b"2", b"{}"])
    assert receive(pull, False, 3, MUCH) == ([[b"a"], [b"t", b"1"], [b""]], 3, False, False)
    assert receive(pull, False, 3, MUCH) == ([[b"t", b"2", b"{}"]], 1, False, True)


def test_the_last_one_may_go_beyond_the_bytes(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"x" * 10], [b"y" * 6, b"z" * 6], [b"next"])
    messages, steps, _, is_empty = receive(pull, False, 16, 15)
    assert (list(map(len, messages)), steps, is_empty) == ([1, 2], 2, False)
    assert receive(pull, False, 16, 15) == ([[b"next"]], 1, False, True)


def test_a_step_too_many_finds_that_nothing_waits(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"a"], [b"b"])
    assert receive(pull, False, 16, MUCH) == ([[b"a"], [b"b"]], 3, False, True)


def test_further_parts_are_thrown_away_one_in_a_step(receive: Receive, pair: Any) -> None:
    push, pull = pair
    many = [b"%d" % number for number in range(MAX_PARTS + 3)]
    send(push, many, [b"after"])
    assert receive(pull, False, 2, MUCH) == ([many[:MAX_PARTS]], 2, True, False)
    assert receive(pull, True, 1, MUCH) == ([], 1, True, False)
    assert receive(pull, True, 2, MUCH) == ([[b"after"]], 2, False, False)


def test_as_many_parts_as_are_kept_leave_none_to_skip(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"part"] * MAX_PARTS)
    assert receive(pull, False, 16, MUCH) == ([[b"part"] * MAX_PARTS], 1, False, True)


def test_nothing_is_read_without_a_share(receive: Receive, pair: Any) -> None:
    push, pull = pair
    send(push, [b"one"])
    assert receive(pull, False, 0, MUCH) == ([], 0, False, False)
    assert receive(pull, True, 16, -1) == ([], 0, True, False)
    assert receive(pull, False, 16, 0) == ([[b"one"]], 1, False, True)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    messages=st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=9), max_size=9),
    most=st.integers(1, 20),
    most_bytes=st.integers(0, 40),
)
def test_both_read_the_same(
    extension: Any, pair: Any, messages: list[list[bytes]], most: int, most_bytes: int
) -> None:
    push, pull = pair
    outcomes = []
    for receive in (receive_in_python, receiver(extension)):
        send(push, *messages)
        outcome = []
        is_skipping = is_empty = False
        while not is_empty:
            outcome.append(receive(pull, is_skipping, most, most_bytes))
            is_skipping, is_empty = outcome[-1][2:]
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]
    read = [parts for part_read, *_ in outcomes[0] for parts in part_read]
    assert read == [each[:MAX_PARTS] for each in messages]


def test_the_descriptor_reports_what_comes_later(receive: Receive, pair: Any) -> None:
    push, pull = pair
    for number in range(50):
        poller = zmq.Poller()
        poller.register(pull.get(zmq.FD), zmq.POLLIN)
        send(push, [b"%d" % number])
        assert poller.poll(int(PATIENCE * 1000))
        messages, _, _, is_empty = receive(pull, False, 16, MUCH)
        # Other signals of libzmq may come first.
        while not messages:
            assert poller.poll(int(PATIENCE * 1000))
            messages, _, _, is_empty = receive(pull, False, 16, MUCH)
        assert (messages, is_empty) == ([[b"%d" % number]], True)


def test_a_closed_socket_is_not_read(receive: Receive, pair: Any) -> None:
    _, pull = pair
    pull.close(0)
    with pytest.raises((ValueError, zmq.ZMQError)):
        receive(pull, False, 16, MUCH)


# The extension only.


class Unclear:
    """An object that is neither true nor false."""

    def __bool__(self) -> bool:
        raise TypeError("neither")


def test_its_functions_are_found() -> None:
    found = addresses()
    assert found is not None
    assert len(found) == len(FUNCTIONS)
    assert len(set(found)) == len(FUNCTIONS)


def test_where_they_are_not_found_pyzmq_reads(
    extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addresses(object()) is None
    assert receiver(None) is receive_in_python
    for version in ((4, 0, 10), (5, 0, 0)):
        monkeypatch.setattr(zmq, "zmq_version_info", lambda version=version: version)
        assert addresses() is None
        assert receiver(extension) is receive_in_python


@pytest.mark.parametrize("given", [(), (1,) * 6, (1,) * 8, (1, 1, 1, 0, 1, 1, 1)])
def test_all_addresses_are_needed(extension: Any, given: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="address"):
        extension.Receiver(given)


@pytest.mark.parametrize("given", [None, [1] * 7, ("a",) * 7])
def test_addresses_are_a_tuple_of_numbers(extension: Any, given: Any) -> None:
    with pytest.raises(TypeError):
        extension.Receiver(given)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (object(), False, 1),
        (object(), False, 1, 1, 1),
        (object(), False, 1, 1),
        ("pull", False, "1", 1),
        ("pull", False, 1, None),
        ("pull", Unclear(), 1, 1),
        ("pull", Unclear(), 1, None),
    ],
)
def test_wrong_arguments_are_refused(extension: Any, arguments: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        receiver(extension)(*arguments)


class Library:
    """A libzmq whose calls fail.

    :param failures: by the name of a function, the errors of its next calls; 0 for none.
    """

    def __init__(self, failures: dict[str, list[int]]) -> None:
        self._failures = failures
        genuine = addresses()
        assert genuine is not None
        pointer = ctypes.c_void_p
        receive = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, ctypes.c_int, use_errno=True)
        option = ctypes.CFUNCTYPE(
            ctypes.c_int, pointer, ctypes.c_int, pointer, pointer, use_errno=True
        )
        index = FUNCTIONS.index
        # Kept, because the extension has their addresses only.
        self._kept: list[Any] = [
            receive(self._failing("zmq_msg_recv", receive(genuine[index("zmq_msg_recv")]))),
            option(self._failing("zmq_getsockopt", option(genuine[index("zmq_getsockopt")]))),
        ]
        found = list(genuine)
        for name, each in zip(("zmq_msg_recv", "zmq_getsockopt"), self._kept, strict=True):
            found[index(name)] = ctypes.cast(each, pointer).value or 0
        self.addresses = tuple(found)

    def _failing(self, name: str, genuine: Callable[..., int]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            failures = self._failures.get(name, [])
            error = failures.pop(0) if failures else 0
            if error:
                ctypes.set_errno(error)
                return -1
            return genuine(*arguments)

        return call


def test_calls_that_are_interrupted_are_repeated(extension: Any, pair: Any) -> None:
    push, pull = pair
    interrupted = [errno.EINTR, errno.EINTR]
    library = Library({"zmq_msg_recv": [*interrupted], "zmq_getsockopt": [*interrupted]})
    send(push, [b"one"])
    read = receiver(extension, library.addresses)
    assert read(pull, False, 16, MUCH) == ([[b"one"]], 1, False, True)


@pytest.mark.parametrize(
    ("failures", "error"),
    [
        ({"zmq_msg_recv": [errno.ENOTSOCK]}, errno.ENOTSOCK),
        ({"zmq_getsockopt": [errno.ENOTSOCK]}, errno.ENOTSOCK),
        ({"zmq_msg_recv": [0, errno.ENOTSOCK]}, errno.ENOTSOCK),
        ({"zmq_msg_recv": [0, errno.EAGAIN]}, None),
    ],
)
def test_other_errors_are_reported(
    extension: Any, pair: Any, failures: dict[str, list[int]], error: int | None
) -> None:
    push, pull = pair
    library = Library(failures)
    send(push, [b"one", b"two"])
    with pytest.raises(OSError) as caught:
        receiver(extension, library.addresses)(pull, False, 16, MUCH)
    assert caught.value.errno == error
