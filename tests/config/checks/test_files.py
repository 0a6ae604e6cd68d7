"""Paths of files, by the kind of file."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from wampush.config.checks import files
from wampush.config.checks.common import Rejected
from wampush.config.checks.files import FileCheck, FileKind

ALIASES: list[Any] = [each for name, each in vars(files).items() if name.endswith("File")]


def test_each_kind_has_one_alias() -> None:
    checks = [get_args(each)[1] for each in ALIASES]
    assert all(isinstance(each, FileCheck) for each in checks)
    assert sorted(each.kind.value for each in checks) == [each.value for each in FileKind]


@pytest.mark.parametrize(
    ("path", "usable"), [("a/b", True), ("", True), ("a\0b", False), (1, False)]
)
def test_paths(path: object, usable: bool) -> None:
    checked = get_args(files.CertificatesFile)[1].check(path)
    assert (checked == path) is usable
    assert isinstance(checked, Rejected) is not usable


def test_a_check_names_the_kind():
    assert files._file(FileKind.PASSWORD) == get_args(files.PasswordFile)[1]
