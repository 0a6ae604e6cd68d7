"""The mistakes that stop the start, for the tests of settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from wampush.config.load import load
from wampush.errors import ConfigError, ConfigErrors


def mistakes(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    assignments: Sequence[str] = (),
) -> tuple[ConfigError, ...]:
    """Load what cannot be used, and return every error; each has one line."""
    with pytest.raises(ConfigErrors) as caught:
        load(path, environ or {}, overrides or {}, assignments)
    assert len(str(caught.value).splitlines()) == len(caught.value.errors)
    return caught.value.errors


def refusal(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    assignments: Sequence[str] = (),
) -> ConfigError:
    """Load what has one mistake, and return its error."""
    (error,) = mistakes(path, environ, overrides, assignments)
    return error
