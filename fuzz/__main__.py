"""``python -m fuzz``: feed generated inputs to each target.

Owns: the command line and the generation of inputs.

    python -m fuzz [--examples 20000] [TARGET...]

Inputs are arbitrary bytes, and bytes made of pieces of the formats, so that many pass the first
checks. A failure is shrunk by hypothesis and printed; the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

_PIECES = [
    *(bytes((byte,)) for byte in b"[]{},:\"'\\\n =;.#\xff\x00"),
    *b"0 1 2 5 6 7 8 -1 1e999 9007199254740993 null true".split(),
    *b'"category" "exclude" "eligible" "to" "users" "sessions" "registered" "\\ud800"'.split(),
    "ü€😀".encode(),
    b"\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1",
    b"Host: a",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Origin: null",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Protocol: wamp",
    *b"permessage-deflate server_max_window_bits=9 :// 127.0.0.1 [::1]".split(),
    *b"eyJhbGciOiJIUzI1NiJ9 eyJhbGciOiJub25lIn0 e30".split(),
    *(b"*3\r\n", b"*1\r\n", b"$7\r\nmessage\r\n", b"$1\r\n", b"$0\r\n\r\n", b"$-1\r\n"),
    *b'"allow" "result" "error" "desc" "publish" "data"'.split(),
    *b"[websocket] [[topics]] [[permissions]] match listen".split(),
]
_INPUTS = st.one_of(
    st.binary(max_size=2000),
    st.text(max_size=500).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(_PIECES) | st.binary(max_size=4), max_size=60).map(b"".join),
    st.integers(1, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
)


def run(name: str, target: Callable[[bytes], None], examples: int) -> bool:
    """Feed one target and return whether it passed."""

    @settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(_INPUTS)
    def feed(data: bytes) -> None:
        target(data)

    try:
        feed()
    # A fuzzer looks for any error.
    except Exception:
        traceback.print_exc()
        print(f"{name}: FAILED")
        return False
    print(f"{name}: {examples} inputs")
    return True


def main() -> int:
    """Parse the command line and feed the targets."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="inputs for each target")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    passed = [run(name, TARGETS[name], arguments.examples) for name in names]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
