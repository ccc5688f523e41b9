"""Single records as the store has them: for whoever looks into a log itself, and not at the state in memory."""

import msgspec

from lastgood_daemon.authority.layer import kept_key, state_key, workflow_key
from lastgood_daemon.engine.kept import Kept
from lastgood_daemon.engine.state import About
from lastgood_daemon.engine.workflow import Progress
from lastgood_daemon.store.protocol import LogId, Reading


async def about_of(reading: Reading, state_id: str) -> About | None:
    """Give what is recorded about a state; nothing where there is no record of it."""
    record = await reading.record(state_key(state_id))
    return None if record is None else msgspec.msgpack.decode(record.value, type=About)


async def progress_of(reading: Reading, workflow_id: str) -> Progress | None:
    """Give how far a workflow is; nothing where there is no record of it."""
    record = await reading.record(workflow_key(workflow_id))
    return None if record is None else msgspec.msgpack.decode(record.value, type=Progress)


async def kept_of(reading: Reading, log: LogId) -> Kept:
    """Give which revisions of a log there still are."""
    record = await reading.record(kept_key(*log))
    return Kept() if record is None else msgspec.msgpack.decode(record.value, type=Kept)
