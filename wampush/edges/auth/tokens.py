"""JSON Web Tokens (RFC 7519) as credentials.

Owns: where a handshake may contain a token, the verification of its signature and claims, the
identity made from them, and the issuing of tokens for tests.
Must not import: Twisted, Autobahn. No part of a token gets into a log line or an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import jwt
from jwt import exceptions as jwt_errors

from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.tables.identity import TokenSettings
from wampush.edges.auth import claims, token_keys
from wampush.edges.auth.claims import InvalidClaim
from wampush.edges.auth.token_keys import TokenKey
from wampush.errors import AuthenticationRefused, CloseReason

_MAX_CHARACTERS: Final = 16_384
_MALFORMED: Final = "It is not a JSON Web Token."
#: Claims with a meaning; all others are free attributes.
_REGISTERED: Final = frozenset(
    ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "groups", "lang")
)
# The first match counts. The messages of PyJWT itself may quote the token.
_DETAILS: Final[Mapping[type[Exception], str]] = MappingProxyType(
    {
        jwt_errors.ExpiredSignatureError: "The token has expired.",
        jwt_errors.ImmatureSignatureError: "The token is not valid yet; check both clocks.",
        jwt_errors.InvalidAudienceError: "Its aud does not match token.audience.",
        jwt_errors.InvalidIssuerError: "Its iss does not match token.issuer.",
        jwt_errors.MissingRequiredClaimError: (
            "It lacks a claim that the settings require (exp, aud or iss)."
        ),
        jwt_errors.InvalidAlgorithmError: "Its algorithm is not that of the key.",
        jwt_errors.InvalidSignatureError: "Its signature is not valid.",
    }
)


def _refuse(detail: str) -> AuthenticationRefused:
    return AuthenticationRefused(CloseReason.TOKEN_REFUSED, detail)


class Tokens:
    """Verifies tokens.

    :param settings: the ``[token]`` table.
    :raises OperatorError: when there is no usable key.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._keys = token_keys.load(settings)

    @property
    def key_count(self) -> int:
        """Number of keys in force."""
        return len(self._keys)

    def reload(self) -> None:
        """Read the keys again; the old ones stay in force when the new ones cannot be used.

        :raises OperatorError: when they cannot be used.
        """
        self._keys = token_keys.load(self._settings)

    def find(self, request: ConnectRequest) -> str:
        """Return the token of a handshake: from Authorization, the query, or the cookie; or "".

        :raises AuthenticationRefused: when the query contains more than one.
        """
        settings = self._settings
        token = request.bearer if settings.bearer else ""
        if not token and settings.query:
            token = request.parameter(settings.query)
        if not token and settings.cookie:
            token = request.cookies.get(settings.cookie, "")
        return token

    def identify(self, token: str) -> Identity:
        """Verify a token and return the identity that it states.

        :param token: any text.
        :raises AuthenticationRefused: when it is not valid; nothing else is ever raised.
        """
        if len(token) > _MAX_CHARACTERS:
            raise _refuse(f"The token has more than {_MAX_CHARACTERS} characters.")
        if not token.isascii():
            raise _refuse(_MALFORMED)
        try:
            return self._identity(self._payload(token))
        except InvalidClaim as error:
            raise _refuse(str(error)) from None
        except jwt_errors.PyJWTError as error:
            raise _refuse(self._detail(error)) from None
        # json and int() raise these for extreme numbers and nesting.
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise _refuse(_MALFORMED) from None

    @staticmethod
    def _detail(error: jwt_errors.PyJWTError) -> str:
        for kind, detail in _DETAILS.items():
            if isinstance(error, kind):
                return detail
        return _MALFORMED

    def _key(self, token: str) -> TokenKey:
        header = jwt.get_unverified_header(token)
        if "crit" in header:
            raise InvalidClaim(
                "Its header has crit; no extensions are supported (RFC 7515 section 4.1.11)."
            )
        keys: Sequence[TokenKey] = self._keys
        kid = header.get("kid")
        if len(keys) > 1 or (kid is not None and keys[0].kid is not None):
            keys = [key for key in keys if key.kid == kid]
        if not keys:
            raise InvalidClaim("Its kid is not in token.jwks_file.")
        return keys[0]

    def _payload(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        key = self._key(token)
        # sub may be a number, see ``claims``.
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

    def _identity(self, payload: Mapping[str, Any]) -> Identity:
        # PyJWT takes digits in a string for a number, too.
        exp = payload.get("exp")
        expires = None if exp is None else claims.expiry(int(exp), "exp")
        attributes = {name: value for name, value in payload.items() if name not in _REGISTERED}
        return Identity(
            user=claims.user_id(payload.get("sub"), "sub"),
            groups=claims.groups(payload.get("groups")),
            web_session=claims.user_id(payload.get("sid"), "sid"),
            language=claims.language(payload.get("lang"), "lang"),
            data=MappingProxyType(attributes),
            expires=None if expires is None else expires + self._settings.leeway,
            source="token",
        )


def issue(
    key: TokenKey, payload: Mapping[str, object], headers: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a signed token.

    :param payload: its claims.
    :param headers: further header parameters, such as ``kid``.
    """
    return jwt.encode(dict(payload), key.key, algorithm=key.algorithm, headers=dict(headers))
