"""When an autostarted daemon may leave."""

import anyio

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.rpc.server import RpcServer

_LOOK_SECONDS = 0.25


async def until_idle(server: RpcServer, authority: Authority, seconds: float) -> None:
    """Wait until for so long no session has been connected, nothing has been asked for and no workflow has been held."""
    idle_since, performed = anyio.current_time(), server.performed
    while anyio.current_time() - idle_since < seconds:
        await anyio.sleep(min(_LOOK_SECONDS, seconds))
        if server.connected or server.performed != performed or authority.holds:
            idle_since, performed = anyio.current_time(), server.performed
