"""What of a text must not be shown.

Owns: how user and password of a URL are hidden, which names of settings hold secrets.
Must not import: anything of wampush.

A mistake in the configuration is shown with the value that was found, and a secret may stand
there: in a URL, or under a key that does not exist.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "[hidden]"
# Greedy: a password that should have been percent-encoded may itself hold "@", "/" or a blank.
_USER_AND_PASSWORD: Final = re.compile(r"(?<=://).*@", re.DOTALL)
_SECRET: Final = re.compile(r"pass|secret|token|credential|auth", re.IGNORECASE)


def without_password(text: str) -> str:
    """A text with everything between ``://`` and the last ``@`` hidden."""
    return _USER_AND_PASSWORD.sub(f"{HIDDEN}@", text)


def names_a_secret(name: str) -> bool:
    """Whether what somebody calls so is likely to be a secret."""
    return _SECRET.search(name) is not None
