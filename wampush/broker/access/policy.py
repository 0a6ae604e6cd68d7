"""The access policy: the permissions in force, and which clients may publish where none decides.

Owns: whether permissions are asked at all, and who may publish by default.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from time import monotonic
from typing import Final

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.identity import Identity


@unique
class Publishing(Enum):
    """Which clients may PUBLISH where no permission decides; values are reasons for people."""

    NOBODY = "clients.publish allows no client to publish"
    #: Clients on this machine; a page counts only if it was loaded from this machine too.
    LOCAL = 'clients.publish = "auto" allows only clients and pages on this machine to publish'
    EVERYBODY = 'clients.publish = "always"'

    def includes(self, is_local: bool) -> bool:
        """Return whether a client may publish.

        :param is_local: whether the client counts as one on this machine.
        """
        return self is Publishing.EVERYBODY or (self is Publishing.LOCAL and is_local)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may do what.

    :param publishing: which clients may PUBLISH where no permission decides.
    :param permissions: who may subscribe, publish and call; None when everybody may do everything,
        apart from what ``publishing`` says.
    """

    publishing: Publishing
    permissions: Permissions | None = None

    def with_publishing(self, publishing: Publishing) -> Policy:
        """Return the same policy, with other clients that may publish by default."""
        return replace(self, publishing=publishing)

    def effective(self, identity: Identity, is_local: bool) -> Mapping[str, object]:
        """Return what an identity may do on a client, as the permissions object of WAMP-CRA.

        :param is_local: whether the client counts as one on this machine.
        """
        permissions = self.permissions or _NO_RULES
        return permissions.effective(identity, self.publishing.includes(is_local))


_NO_RULES: Final = Permissions((), default_decisions(), monotonic)
