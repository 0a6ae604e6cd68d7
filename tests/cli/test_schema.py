"""``wampush config-schema``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from wampush.cli import main
from wampush.config.schema import schema


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_neither_twisted_nor_zeromq_is_imported() -> None:
    script = (
        "import sys\nfrom wampush.config.schema import schema\nassert schema()\n"
        "assert not {'twisted', 'zmq'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)
