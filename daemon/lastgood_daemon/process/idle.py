"""When an autostarted daemon may leave."""

import anyio

from lastgood_daemon.rpc.server import RpcServer

_LOOK_SECONDS = 0.25


async def until_idle(server: RpcServer, seconds: float) -> None:
    """Wait until for so long no session has been connected and nothing has been asked for."""
    idle_since, performed = anyio.current_time(), server.performed
    while anyio.current_time() - idle_since < seconds:
        await anyio.sleep(min(_LOOK_SECONDS, seconds))
        if server.connected or server.performed != performed:
            idle_since, performed = anyio.current_time(), server.performed
