"""The yardstick: a unary grpc.aio call that does nothing. ``echo_server.py SOCKET``."""

import asyncio
import sys
from typing import Any

import grpc
from grpc import aio


async def _echo(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return request


async def main(socket: str) -> None:
    """Serve until terminated."""
    server = aio.server()
    handlers: dict[str, Any] = {"Call": grpc.unary_unary_rpc_method_handler(_echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
