"""From page to page of each kind of thing.

A place is the kind, and where in it to go on: ``logs:…``. Whoever verifies asks again with it, so that no call takes long;
and the daemon remembers nothing between two of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from lastgood_daemon.authority.verify.logs import check_logs
from lastgood_daemon.authority.verify.records import check_records
from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.authority.verify.storage import check_storage
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import CorruptRecordError, Reading, StoreBrokenError

SECONDS = 1.0
"""After which a call ends with the page that it is at."""
MOST_PROBLEMS = 1000

Check = Callable[[Reading, Mapping[str, State], Findings, str], Awaitable[str]]
"""Checks a page of a kind of thing from a place in it on ("": the beginning), and gives the place after it ("": the end)."""

KINDS: dict[str, Check] = {"storage": check_storage, "logs": check_logs, "records": check_records}


async def verify(reading: Reading, live: Mapping[str, State], place: str) -> tuple[Findings, str]:
    """Verify a part of a store.

    Args:
        reading: what to read it with.
        live: the states that are in memory.
        place: where to begin; "" is the beginning.

    Returns:
        what was found, and the place to go on from; "" is the end.
    """
    kinds = list(KINDS)
    kind, _, after = (place or f"{kinds[0]}:").partition(":")
    if kind not in KINDS:
        field = "page_token"
        raise InvalidArgumentError(field, "must be a page token issued by this daemon")
    findings = Findings()
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while loop.time() < end and len(findings.problems) < MOST_PROBLEMS:
        try:
            after = await KINDS[kind](reading, live, findings, after)
        except (StoreBrokenError, CorruptRecordError) as error:
            findings.add(f"the {kind}", f"no more of them can be read: {error}")
            after = ""
        if after:
            continue
        if kind == kinds[-1]:
            return findings, ""
        kind = kinds[kinds.index(kind) + 1]
    return findings, f"{kind}:{after}"
