"""Paths of files, by the kind of file."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from wampush.config.checks import files
from wampush.config.checks.check import Rejected
from wampush.config.checks.files import FileKind

ALIASES: list[Any] = [each for name, each in vars(files).items() if name.endswith("File")]


def test_each_kind_has_one_alias() -> None:
    kinds = [get_args(each)[2] for each in ALIASES]
    assert sorted(each.value for each in kinds) == [each.value for each in FileKind]


@pytest.mark.parametrize(
    ("path", "usable"), [("a/b", True), ("", True), ("a\0b", False), (1, False)]
)
def test_paths(path: object, usable: bool) -> None:
    checked = get_args(files.CertificatesFile)[1].check(path)
    assert (checked == path) is usable
    assert isinstance(checked, Rejected) is not usable
