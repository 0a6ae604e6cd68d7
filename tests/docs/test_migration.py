"""What the migration guide says about AutobahnJS."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from tests.support.guides import blocks_in

ROOT = Path(__file__).parents[2]
NAME = "docs/howto/migrate-from-ratchet.md"


def test_the_file_that_the_examples_download(autobahn_js: bytes) -> None:
    (block,) = (text for text in blocks_in(NAME, "sh") if "autobahn" in text)
    copy, digest = (shlex.split(line) for line in block.splitlines())
    assert (ROOT / copy[1]).read_bytes() == autobahn_js
    (shown,) = (text.split() for text in blocks_in(NAME, "text") if digest[1] in text)
    assert shown == [hashlib.sha256(autobahn_js).hexdigest(), digest[1]]
    assert b"0.7.9" in autobahn_js
