"""How a setting is described.

Owns: the metadata of a setting, and the units that several tables share.
Must not import: anything of wampush but the checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wampush.config.checks.common import (
    Checker,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


GIB = 2**30
DAY = 86_400


def about(unit: str, reason: str, checker: Checker) -> Mapping[str, Any]:
    """The metadata of a setting."""
    return {"unit": unit, "reason": reason, "checker": checker}
