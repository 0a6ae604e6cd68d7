"""What the subcommands share: messages on standard error, and topics as arguments."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from tests.cli.puller import one_line
from tests.support.waiting import PATIENCE
from wampush.cli.support import Parser, complain, give_up_stdout, topic_text


def test_a_mistake_is_one_line_with_status_2(capfd: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="wampush push")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--bogus"])
    assert ended.value.code == 2
    assert one_line(capfd) == (
        "wampush push: unrecognized arguments: --bogus; see wampush push --help\n"
    )


def test_each_line_of_a_complaint_names_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    complain("first\nsecond")
    assert capfd.readouterr().err == "wampush: first\nwampush: second\n"


@pytest.mark.parametrize("text", ["news", "caf\u00e9", " "])
def test_topics(text: str) -> None:
    assert topic_text(text) == text


@pytest.mark.parametrize(
    ("text", "words"), [("", "must not be empty"), ("\udcff", "must be UTF-8")]
)
def test_what_is_not_a_topic(text: str, words: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        topic_text(text)


def test_given_up_output_can_be_flushed(capfd: pytest.CaptureFixture[str]) -> None:
    kept = os.dup(1)
    try:
        with capfd.disabled():
            give_up_stdout()
            os.write(1, b"into nowhere")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert capfd.readouterr().out == ""


def test_a_program_without_a_reader_ends_with_its_own_status() -> None:
    program = (
        "import sys\n"
        "from wampush.cli.support import give_up_stdout\n"
        "try:\n"
        "    print('x' * 100_000, flush=True)\n"
        "except BrokenPipeError:\n"
        "    give_up_stdout()\n"
        "    print('more')\n"
        "    sys.exit(7)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 7
