"""JSON for property tests."""

from __future__ import annotations

import json

from hypothesis import strategies as st

#: Python values with a JSON form that keeps them as they are.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["", '"', "\\", "[", "]", "{", "},", "a:b", "http://x/y#z"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["", "a", '"', "]"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def _write(value: object, indent: int | None, ascii_only: bool) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()


def texts(of: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    """Values as JSON text, with and without line breaks and escapes."""
    return st.builds(_write, of, st.sampled_from([None, 0, 2]), st.booleans())


#: Lists that look like messages, with elements of any kind.
near_messages = texts(
    st.builds(
        lambda kind, rest: [kind, *rest],
        st.integers(-1, 9) | st.sampled_from([True, 1.0, "5", None]),
        st.lists(st.sampled_from(["topic", "p:x", "p"]) | values, max_size=5),
    )
)
