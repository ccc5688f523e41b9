"""Looking through all records of a kind, owner by owner, without getting into anybody's way."""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import NamedTuple

from lastgood_daemon.store.protocol import CorruptRecordError, Damaged, Record, Store

PAGE = 200
"""Records that are read at a time: the event loop and other reads have their turn between pages."""


class Owned(NamedTuple):
    """The records of one owner, or what is wrong with them."""

    owner: str
    found: Sequence[Record] | CorruptRecordError

    def records(self) -> Sequence[Record]:
        """Give them, or raise ``CorruptRecordError``."""
        if isinstance(self.found, CorruptRecordError):
            raise self.found
        return self.found


async def scan(store: Store, kind: str, only: str | None = None) -> AsyncIterator[Owned]:
    """Give the owners of records of a kind, in their order; only one of them where that is named."""
    if only is not None:
        yield await _read(store, kind, only)
        return
    after = ""
    while True:
        records = await store.list_records(kind, after, PAGE)
        page = [_owned(owner, list(found)) for owner, found in groupby(records, lambda record: record.key.owner)]
        if not page:
            return
        for owned in page:
            yield owned
        after = page[-1].owner


def _owned(owner: str, found: list[Record | Damaged]) -> Owned:
    sound = [record for record in found if isinstance(record, Record)]
    damaged = [CorruptRecordError(record.problem) for record in found if isinstance(record, Damaged)]
    return Owned(owner, damaged[0] if damaged else sound)


async def _read(store: Store, kind: str, owner: str) -> Owned:
    try:
        return Owned(owner, await store.records(kind, owner))
    except CorruptRecordError as error:
        return Owned(owner, error)
