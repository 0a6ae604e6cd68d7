"""Checks of settings that name a file, by the kind of file.

Must not import: Twisted, or anything of wampush but the common checks. Whether a file can be read
is found out by its reader; ``wampush check`` has one for each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated

from wampush.config.checks.common import StringCheck


class FileKind(Enum):
    """The content that a reader expects in a file."""

    CERTIFICATES = auto()
    PRIVATE_KEY = auto()
    TOKEN_KEY = auto()
    CRA_KEYS = auto()
    HTTP_TOKEN = auto()
    WEBHOOK_SECRET = auto()
    PASSWORD = auto()
    CURVE_SECRET_KEY = auto()
    CURVE_CLIENT_KEYS = auto()


def _is_path(text: str) -> bool:
    return "\0" not in text


@dataclass(frozen=True, slots=True)
class FileCheck(StringCheck):
    """The path of a file, or "" for none.

    :param kind: names the reader of the file.
    """

    kind: FileKind = FileKind.CERTIFICATES


def _file(kind: FileKind) -> FileCheck:
    return FileCheck("the path of a file", _is_path, optional=True, kind=kind)


CertificatesFile = Annotated[str, _file(FileKind.CERTIFICATES)]
PrivateKeyFile = Annotated[str, _file(FileKind.PRIVATE_KEY)]
TokenKeyFile = Annotated[str, _file(FileKind.TOKEN_KEY)]
CraKeysFile = Annotated[str, _file(FileKind.CRA_KEYS)]
HttpTokenFile = Annotated[str, _file(FileKind.HTTP_TOKEN)]
WebhookSecretFile = Annotated[str, _file(FileKind.WEBHOOK_SECRET)]
PasswordFile = Annotated[str, _file(FileKind.PASSWORD)]
CurveSecretKeyFile = Annotated[str, _file(FileKind.CURVE_SECRET_KEY)]
CurveClientKeysFile = Annotated[str, _file(FileKind.CURVE_CLIENT_KEYS)]
