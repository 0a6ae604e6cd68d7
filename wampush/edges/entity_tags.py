"""Entity tags: whether a client has a response already (RFC 9110 section 13.1.2).

Owns: the comparison. Must not import: anything of wampush.
"""

from __future__ import annotations


def is_known(tag: str, if_none_match: str) -> bool:
    """Return whether a request names a tag. The comparison is weak: proxies that compress a
    response make its tag weak.

    :param tag: a strong entity tag.
    :param if_none_match: the header of the request; "" for none.
    """
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in known or known == ["*"]
