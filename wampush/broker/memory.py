"""The memory that peers make the node keep, in bytes.

Owns: how much is kept for each owner, for each address and in all, and whether more fits.
Must not import: anything of wampush but ``errors``.

An owner is a session, a connection or whatever else a peer can make grow. Nothing is allocated for
an owner until something is kept for it, and each question takes constant time. What things cost is
estimated in ``memory_costs``; the fan-out does not come here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from wampush.errors import MessageRefused, Refusal

#: This part of the limits of address and all is added to them for unfinished input.
RESERVE_SHARE: Final = 4


class Owner(Protocol):
    """Something for which memory is kept; hashed by identity."""

    @property
    def address_name(self) -> str | None:
        """The name under which its address is counted; None for one without limits."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Limits on what is kept, in bytes.

    :param per_session: for one owner.
    :param per_address: for all owners of one address.
    :param in_all: for all owners.
    """

    per_session: int
    per_address: int
    in_all: int

    def with_reserve(self) -> MemoryLimits:
        """Return the limits for unfinished input, which may use a reserve."""
        per_address, in_all = (
            limit + limit // RESERVE_SHARE for limit in (self.per_address, self.in_all)
        )
        return MemoryLimits(self.per_session, per_address, in_all)


class _Account(NamedTuple):
    """What is kept for one owner.

    :param name: under which its address is counted; None for one without limits.
    :param size: in bytes.
    """

    name: str | None
    size: int


@lru_cache(maxsize=1024)
def _shared_account(name: str | None, size: int) -> _Account:
    """Return an account; most sessions of an address, or of all without a name, have the same."""
    return _Account(name, size)


class Memory:
    """Counts what is kept.

    :param limits: that no request may exceed.
    """

    def __init__(self, limits: MemoryLimits) -> None:
        self.limits: Final = limits
        self._with_reserve: Final = limits.with_reserve()
        self._accounts: dict[Owner, _Account] = {}
        self._addresses: Counter[str] = Counter()
        #: Bytes that are kept for all owners.
        self.total = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def of_owner(self, owner: Owner) -> int:
        """Return the bytes that are kept for an owner."""
        account = self._accounts.get(owner)
        return 0 if account is None else account.size

    def of_address(self, name: str) -> int:
        """Return the bytes that are kept for an address.

        :param name: under which the address is counted.
        """
        return self._addresses[name]

    def keep(self, owner: Owner, size: int) -> Refusal | None:
        """Count more bytes for an owner if they fit.

        :param size: what comes in addition; less than 0 for what goes, which always fits.
        :returns: the limit that they would exceed; None when they are counted.
        """
        return self._keep(owner, size, self.limits)

    def admit(self, owner: Owner, size: int) -> None:
        """Count more bytes for an owner.

        :param size: as for :meth:`keep`.
        :raises MessageRefused: with the limit that they would exceed.
        """
        refusal = self.keep(owner, size)
        if refusal is not None:
            raise MessageRefused(refusal, f"It takes about {size} bytes.")

    def hold(self, owner: Owner, size: int) -> Refusal | None:
        """Count exactly these bytes of input for an owner, whatever was counted for it before.

        The reserve is for input, so that an address that has used up its limit is not cut off.

        :param size: all that is kept for the owner; 0 for nothing.
        :returns: as :meth:`keep`; what was counted before stays counted if they do not fit.
        """
        account = self._accounts.get(owner)
        if account is None:
            return self._keep(owner, size, self._with_reserve) if size else None
        return self._keep(owner, size - account.size, self._with_reserve)

    def restore(self, owner: Owner, size: int) -> None:
        """Count bytes that another process kept for an owner, whatever the limits are here."""
        if size > 0:
            account = self._accounts.get(owner) or _shared_account(owner.address_name, 0)
            self._add(owner, account, size)

    def release(self, owner: Owner, size: int) -> None:
        """Count bytes less for an owner; does nothing once it is forgotten.

        :param size: that were counted with :meth:`keep`.
        """
        account = self._accounts.get(owner)
        if account is not None:
            self._add(owner, account, -size)

    def forget(self, owner: Owner) -> None:
        """Count nothing for an owner any more: it has ended."""
        account = self._accounts.get(owner)
        if account is not None:
            self._add(owner, account, -account.size)

    def _keep(self, owner: Owner, size: int, limits: MemoryLimits) -> Refusal | None:
        account = self._accounts.get(owner)
        name = owner.address_name if account is None else account.name
        before = 0 if account is None else account.size
        if size > 0:
            if before + size > limits.per_session:
                return Refusal.SESSION_MEMORY
            if name is not None and self._addresses[name] + size > limits.per_address:
                return Refusal.ADDRESS_MEMORY
            if self.total + size > limits.in_all:
                return Refusal.TOTAL_MEMORY
        if size:
            self._add(owner, account or _Account(name, 0), size)
        return None

    def _add(self, owner: Owner, account: _Account, size: int) -> None:
        self.total += size
        name, before = account
        if name is not None:
            self._addresses[name] += size
            if not self._addresses[name]:
                del self._addresses[name]
        if before + size:
            self._accounts[owner] = _shared_account(name, before + size)
        else:
            del self._accounts[owner]


#: For a broker without clients from outside, as in tests and benchmarks.
UNLIMITED: Final = MemoryLimits(per_session=2**62, per_address=2**62, in_all=2**62)
