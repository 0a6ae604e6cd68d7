"""``wampush push``: what it sends, and what it reports."""

from __future__ import annotations

import contextlib
import io

import pytest

from tests.cli.puller import Puller, one_line
from wampush.cli import main
from wampush.testing.ports import reserved_ports


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    "value",
    [
        '{"title": "hello"}',
        '{"n":9007199254740993,"f":1.0,"e":{}}',
        '"gr\u00fc\u00dfe \u2764"',
        "-1",
        "null",
        "[]",
    ],
)
def test_topic_and_value_arrive_unchanged(
    puller: Puller, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["push", "caf\u00e9", value, "--to", puller.address]) == 0
    assert puller.next() == ["caf\u00e9".encode(), value.encode()]
    assert capfd.readouterr() == ("", "")


def test_it_reads_one_value_per_line(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, b'{"a":1}\n\n  2.50 \r\n"last"')
    assert main(["push", "t", "-", "--to", puller.address]) == 0
    assert [puller.next()[1] for _ in range(3)] == [b'{"a":1}', b"2.50", b'"last"']


def test_it_reaches_ipv6_addresses() -> None:
    with contextlib.closing(Puller(address="tcp://[::1]:*")) as puller:
        assert main(["push", "t", "1", "--to", puller.address]) == 0
        assert puller.next() == [b"t", b"1"]


@pytest.mark.parametrize("value", ["hello", "{'a': 1}", "", "NaN", "1 2", '"\udcff"', "x" * 5000])
def test_it_sends_nothing_that_is_not_json(
    puller: Puller, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["push", "t", value, "--to", puller.address]) == 1
    complaint = one_line(capfd)
    assert complaint.startswith("wampush: the value is not JSON: ")
    assert len(complaint) < 250
    assert puller.is_empty()


def test_it_names_the_bad_line_and_has_sent_those_before(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"1\n\noops\n2\n")
    assert main(["push", "t", "-", "--to", puller.address]) == 1
    assert "line 3 is not JSON" in one_line(capfd)
    assert puller.next() == [b"t", b"1"]
    assert puller.is_empty()


def test_it_reports_that_nobody_pulls(capfd: pytest.CaptureFixture[str]) -> None:
    with reserved_ports(1) as (port,):
        address = f"tcp://127.0.0.1:{port}"
        assert main(["push", "t", "1", "--to", address, "--timeout", "0.05"]) == 1
    assert one_line(capfd) == (
        f"wampush: nobody pulls at {address}; check that wampush is running with --pull "
        f"{address}, and that it accepts this address and key\n"
    )


def test_it_reports_that_the_server_accepts_nothing_more(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(Puller(limit=1)) as puller:
        give_stdin(monkeypatch, (b'"' + b"x" * 200_000 + b'"\n') * 400)
        assert main(["push", "t", "-", "--to", puller.address, "--timeout", "1"]) == 1
        assert "accepted nothing more for 1 s; " in one_line(capfd)


def test_it_reports_that_the_last_pushes_may_be_lost(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(Puller(limit=1)) as puller:
        give_stdin(monkeypatch, (b'"' + b"x" * 1_000_000 + b'"\n') * 60)
        assert main(["push", "t", "-", "--to", puller.address, "--timeout", "1"]) == 1
        assert "the last pushes may be lost" in one_line(capfd)


@pytest.mark.parametrize("address", ["foo://x", "tcp://*:5", "127.0.0.1:5555", "", "tcp://a:b"])
def test_it_rejects_what_is_not_an_address(capfd: pytest.CaptureFixture[str], address: str) -> None:
    assert main(["push", "t", "1", "--to", address]) == 1
    complaint = one_line(capfd)
    assert complaint.startswith(f"wampush: cannot connect to {address!r}: ")
    assert complaint.endswith("; write tcp://HOST:PORT or ipc://PATH\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["t"],
        ["", "1"],
        ["\udcff", "1"],
        ["t", "1", "--timeout", "soon"],
        ["t", "1", "--timeout", "0"],
        ["t", "1", "--timeout", "nan"],
        ["t", "1", "--timeout", "inf"],
    ],
)
def test_wrong_arguments_end_with_status_2_and_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["push", *arguments])
    assert ended.value.code == 2
    assert "see wampush push --help" in one_line(capfd)


def test_it_ends_quietly_when_interrupted(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(io.BytesIO):
        def __next__(self) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Interrupted()))
    assert main(["push", "t", "-", "--to", puller.address]) == 130
    assert capfd.readouterr() == ("", "")
