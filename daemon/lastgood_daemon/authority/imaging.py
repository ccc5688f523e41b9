"""When a state gets an image, and writing it.

An image is due when the log since the last one has outgrown it: so images never cost more than the log, and bringing a
state back never takes longer than in proportion to its size. States are immutable, so the one that is imaged stays what it
is while others are committed.
"""

import asyncio

from lastgood_daemon.authority.world import ImageNote, World
from lastgood_daemon.engine.image import Image, encode_image
from lastgood_daemon.engine.state import State
from lastgood_daemon.store import upkeep
from lastgood_daemon.store.protocol import LogId, Store

FIRST_BYTES = 128 * 1024
"""Log below which a state needs no image."""


def is_due(world: World, state: State) -> bool:
    """Whether the log of a state has outgrown its last image."""
    last = world.images.get(LogId(state.state_id, state.incarnation), ImageNote())
    return state.log_bytes - last.log_bytes > max(FIRST_BYTES, last.size)


async def write_image(store: Store, world: World, state: State) -> None:
    """Write an image of a state as it is, unless another was written while this one waited.

    Nor of one from before a redaction, which never happens while this is at work.
    """
    if not is_due(world, state):
        return
    name = LogId(state.state_id, state.incarnation)
    if state.revision < world.redacted.get(name, 0):
        return
    data = await asyncio.to_thread(encode_image, Image(state.tree, state.chain, state.log_bytes))
    await store.put_image(name, upkeep.Image(state.revision, data))
    world.images[name] = ImageNote(state.log_bytes, len(data))
    world.spent([data])
    asyncio.get_running_loop().call_soon(world.let_go)  # when this has let go of it, too
