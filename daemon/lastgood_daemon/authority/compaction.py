"""Giving up the revisions of a log that nobody can ask for any more."""

from typing import NamedTuple

from lastgood_daemon.authority.committer import Committer
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.store.protocol import LogId, Store


class Kept(NamedTuple):
    """What of a log stays: the floor and all above it, and the pins below."""

    floor: int
    """At most the present revision."""
    pins: frozenset[int]
    """Of snapshots, of checkpoints, and where the workflow began. Those below the floor are what matters."""
    since: int
    """When the pins were looked for. Where ``About.referred_at`` is not below that, there may be one more: leave the log."""


class CompactedLog(NamedTuple):
    """What was given up."""

    revisions: int
    bytes: int


async def compact_log(store: Store, committer: Committer, loader: Loader, log: LogId, kept: Kept) -> CompactedLog:
    """Rewrite a log so that only what stays is in it.

    Each run of revisions that go becomes one squashed delta, which carries the chain of its end; what is below the floor is
    replaced by a base image. To be decided inside the committer: the log may have grown, the state may have been deleted.

    It gives up nothing yet.
    """
    del store, committer, loader, log, kept
    return CompactedLog(0, 0)
