"""The policies that are in force, as a round of housekeeping finds them."""

import logging
from collections.abc import Callable, Mapping

import msgspec

from lastgood_daemon.authority.scanning import Owned, scan
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import CorruptRecordError, Store

KEEP_ALL = Retention()

log = logging.getLogger(__name__)


class Policies:
    """See the module."""

    def __init__(self, default: Retention, own: Mapping[str, Retention]) -> None:
        self._default = default
        self._own = own

    def of(self, owner: str) -> Retention:
        """Give the policy in force for an id."""
        return self._own.get(owner, self._default)

    def under(self, owner: str, policy: Retention) -> "Policies":
        """Return them with one policy replaced: that of an id, or the default (``""``)."""
        if not owner:
            return Policies(policy, self._own)
        return Policies(self._default, {**self._own, owner: policy})

    def any(self, says: Callable[[Retention], bool]) -> bool:
        """Whether a policy says something of a kind."""
        return any(says(policy) for policy in (self._default, *self._own.values()))


async def in_force(store: Store, only: str | None) -> Policies:
    """Look through the policies; only that for one id, and the default, where that is named."""
    found = {owned.owner: _policy(owned) async for owned in scan(store, "retention", only)}
    default = [_policy(owned) async for owned in scan(store, "retention", "")]
    own = {owner: policy for owner, policy in found.items() if policy is not None}
    return Policies(default[0] or KEEP_ALL, own)


def _policy(owned: Owned) -> Retention | None:
    """Give a policy. One that cannot be read lets nothing go."""
    try:
        records = owned.records()
    except CorruptRecordError as error:
        log.error("keeping everything that a damaged policy is about: %s", error)  # noqa: TRY400 - expected, no traceback
        return KEEP_ALL
    return msgspec.msgpack.decode(records[0].value, type=Retention) if records else None
