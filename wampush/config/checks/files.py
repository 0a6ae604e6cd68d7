"""Checks of settings that name a file, by the kind of file.

Owns: the kinds of files. Must not import: Twisted, the settings.

Whether a file can be read is found out by its reader; ``wampush check`` has one for each kind.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Annotated, Final

from wampush.config.checks.check import string


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
    DATABASE = auto()


_PATH: Final = string("the path of a file", lambda text: "\0" not in text, optional=True)

CertificatesFile = Annotated[str, _PATH, FileKind.CERTIFICATES]
PrivateKeyFile = Annotated[str, _PATH, FileKind.PRIVATE_KEY]
TokenKeyFile = Annotated[str, _PATH, FileKind.TOKEN_KEY]
CraKeysFile = Annotated[str, _PATH, FileKind.CRA_KEYS]
HttpTokenFile = Annotated[str, _PATH, FileKind.HTTP_TOKEN]
WebhookSecretFile = Annotated[str, _PATH, FileKind.WEBHOOK_SECRET]
PasswordFile = Annotated[str, _PATH, FileKind.PASSWORD]
CurveSecretKeyFile = Annotated[str, _PATH, FileKind.CURVE_SECRET_KEY]
DatabaseFile = Annotated[str, _PATH, FileKind.DATABASE]
CurveClientKeysFile = Annotated[str, _PATH, FileKind.CURVE_CLIENT_KEYS]
