"""Giving the room of what was let go of back to the file system.

SQLite keeps the pages that become free, and the file is cut off only when the WAL has been brought into it. So both are done
here, and what was let go of by work that was cut off is removed first.
"""

from lastgood_daemon.store.protocol import Store

LEAST_AFTER_DELETION = 1024 * 1024
"""Bytes that must be free before a deletion alone makes the file smaller: moving pages costs writes."""


async def reclaim(store: Store, least: int = 1) -> int:
    """Make the file as small as what is in it allows; how many bytes were given back.

    Args:
        store: the store.
        least: bytes that must be free, or nothing is done.
    """
    while await store.sweep():
        pass
    if await store.free_bytes() < least:
        return 0
    given = 0
    while some := await store.give_back():
        given += some
    await store.empty_wal()
    return given
