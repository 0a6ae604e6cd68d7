"""JSON Web Tokens: where a handshake holds one, and who it speaks of.

Owns: the check of signature and claims, the identity made of them, the making of tokens for trials.
Must not import: Twisted, Autobahn. Nothing of a token gets into a log or an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import jwt
from jwt import exceptions as refused

from wampush.broker.identity import Identity
from wampush.broker.requests.connect import ConnectRequest
from wampush.config.tables.identity import TokenSettings
from wampush.edges.auth import token_keys
from wampush.edges.auth.claims import Unusable, groups_of, language_of, name_of
from wampush.edges.auth.token_keys import TokenKey
from wampush.errors import AuthenticationRefused, CloseReason

_MOST_CHARACTERS: Final = 16_384
#: Claims with a meaning of their own; all others are free attributes.
_KNOWN: Final = frozenset(
    ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "groups", "lang")
)
# The first that fits; the texts of PyJWT itself may repeat what is in the token.
_DETAILS: Final[Mapping[type[Exception], str]] = MappingProxyType(
    {
        refused.ExpiredSignatureError: "It has expired.",
        refused.ImmatureSignatureError: "It is not valid yet; compare the clocks.",
        refused.InvalidAudienceError: "Its aud is not token.audience.",
        refused.InvalidIssuerError: "Its iss is not token.issuer.",
        refused.MissingRequiredClaimError: "It lacks exp, aud or iss, which the settings ask for.",
        refused.InvalidAlgorithmError: "Its algorithm is not the one of the key.",
        refused.InvalidSignatureError: "Its signature is not right.",
    }
)


def _refuse(detail: str) -> AuthenticationRefused:
    return AuthenticationRefused(CloseReason.TOKEN_REFUSED, detail)


class Tokens:
    """Judges tokens.

    :param settings: the ``[token]`` table.
    :raises OperatorError: when there is no usable key.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._keys = token_keys.load(settings)

    @property
    def key_count(self) -> int:
        """How many keys a token may be signed with."""
        return len(self._keys)

    def reload(self) -> None:
        """Read the keys again; when they can not be used, the present ones stay.

        :raises OperatorError: says what is wrong with them.
        """
        self._keys = token_keys.load(self._settings)

    def find(self, request: ConnectRequest) -> str:
        """The token of a handshake, "" for none: Authorization, then the query, then the cookie.

        :raises AuthenticationRefused: when the query holds several.
        """
        settings = self._settings
        token = request.bearer if settings.bearer else ""
        if not token and settings.query:
            token = request.parameter(settings.query)
        if not token and settings.cookie:
            token = request.cookies.get(settings.cookie, "")
        return token

    def identify(self, token: str) -> Identity:
        """Who a token speaks of.

        :param token: any text.
        :raises AuthenticationRefused: when it is not a good token; nothing else is ever raised.
        """
        if len(token) > _MOST_CHARACTERS:
            raise _refuse(f"It has more than {_MOST_CHARACTERS} characters.")
        if not token.isascii():
            raise _refuse("It is no JSON Web Token.")
        try:
            return self._identity(self._claims(token))
        except Unusable as error:
            raise _refuse(str(error)) from None
        except refused.PyJWTError as error:
            raise _refuse(self._detail(error)) from None
        # What json and int() raise for numbers and nesting that no honest token has.
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise _refuse("It is no JSON Web Token.") from None

    @staticmethod
    def _detail(error: refused.PyJWTError) -> str:
        for kind, detail in _DETAILS.items():
            if isinstance(error, kind):
                return detail
        return "It is no JSON Web Token."

    def _key(self, token: str) -> TokenKey:
        header = jwt.get_unverified_header(token)
        if "crit" in header:
            raise Unusable("Its header has crit; no extension is known here (RFC 7515 4.1.11).")
        keys: Sequence[TokenKey] = self._keys
        kid = header.get("kid")
        if len(keys) > 1 or (kid is not None and keys[0].kid is not None):
            keys = [key for key in keys if key.kid == kid]
        if not keys:
            raise Unusable("Its kid names no key of token.jwks_file.")
        return keys[0]

    def _claims(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        key = self._key(token)
        # sub may be a number here, see ``claims``.
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=settings.audience or None,
            issuer=settings.issuer or None,
            leeway=settings.leeway,
            options={
                "require": ["exp"] if settings.require_expiry else [],
                "verify_sub": False,
                "verify_jti": False,
            },
        )

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        expires = claims.get("exp")
        attributes = {name: value for name, value in claims.items() if name not in _KNOWN}
        return Identity(
            user=name_of(claims.get("sub"), "sub"),
            groups=groups_of(claims.get("groups")),
            web_session=name_of(claims.get("sid"), "sid"),
            language=language_of(claims.get("lang"), "lang"),
            data=MappingProxyType(attributes),
            expires=None if expires is None else int(expires) + self._settings.leeway,
            source="token",
        )


def issue(
    key: TokenKey, claims: Mapping[str, object], headers: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A signed token.

    :param headers: further ones, such as ``kid``.
    """
    return jwt.encode(dict(claims), key.key, algorithm=key.algorithm, headers=dict(headers))
