"""When an autostarted daemon may leave."""

import anyio

from lastgood_daemon.rpc.session import SessionService

_LOOK_SECONDS = 0.25


async def until_idle(sessions: SessionService, seconds: float) -> None:
    """Wait until no client has been connected for so long."""
    idle_since = anyio.current_time()
    served = sessions.served
    while anyio.current_time() - idle_since < seconds:
        await anyio.sleep(min(_LOOK_SECONDS, seconds))
        if sessions.connected or sessions.served != served:
            idle_since, served = anyio.current_time(), sessions.served
