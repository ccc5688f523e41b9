"""The life of a daemon, from an owned folder to a closed store.

It ends in this order, so that nothing acknowledged is lost and nobody waits in vain:

    health says NOT_SERVING     no new clients
    waiting claims end          turned away, to the next daemon; so are backups
    sessions end                what they have handed in is answered first; the clients reconnect to whoever is next
    server stops                at most five seconds
    the committer drains        what was handed in is committed, whether or not anyone is left to hear it
    the store closes            the WAL goes into the main file
    the folder is let go        by then another daemon may have it
"""

import asyncio
import gc
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial

import anyio
import structlog

from lastgood_daemon import __version__
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.process.config import Config
from lastgood_daemon.process.endpoint import Endpoint
from lastgood_daemon.process.folder import DataFolder
from lastgood_daemon.process.idle import until_idle
from lastgood_daemon.process.listen import listen, listener_for
from lastgood_daemon.process.notify import notify, supervised
from lastgood_daemon.process.terminal import greet, is_terminal
from lastgood_daemon.process.trimming import keep_trimming
from lastgood_daemon.process.watch import watch
from lastgood_daemon.rpc.process import Life
from lastgood_daemon.rpc.server import RpcServer
from lastgood_daemon.store.protocol import StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.v1.server_pb2 import ServerInfo

EXIT_STORAGE_FAILED = 74
"""As EX_IOERR: the storage failed underneath, and a restart recovers."""
FIRST_ROUND_SECONDS = 20.0
"""Of housekeeping: so soon that a daemon that is started for one command, and then idles for a minute, does it, too."""
SWITCH_SECONDS = 0.0005
"""How long a thread that images or opens a large state may keep the event loop waiting: a tenth of Python's default."""
_TO_END = frozenset({signal.SIGTERM, signal.SIGINT})

log = structlog.get_logger(__name__)


async def serve(config: Config, folder: DataFolder) -> int:
    """Serve a folder until a signal, the end of an idle time, or a fault of the storage. Gives the exit status."""
    _spare_the_collector()
    sys.setswitchinterval(SWITCH_SECONDS)
    # More threads would contend for the interpreter, with each other and with the loop, and each fills memory of its own.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "lastgood-work"))
    told, tell = _note_signals()
    if supervised():
        folder.mark_as_service()
    listener = listener_for(config, folder)
    socket = listener.socket
    store = SqliteStore.open(folder.database)
    authority = Authority(store, config.memory, folder.path)
    info = ServerInfo(daemon_id=store.daemon_id, copy_id=store.copy_id, version=__version__, data_dir=str(folder.path))
    life = Life(secrets.token_hex(32), partial(tell, "asked to shut down") if config.autostarted else None)
    server = RpcServer(authority, info, config.token, life, config.memory, config.backup_dir)
    info.address = await listen(listener, server, is_open=config.token is None)
    committing = asyncio.create_task(authority.run())
    folder.publish(Endpoint(info.address, os.getpid(), store.daemon_id, __version__, config.autostarted, life.secret))
    await server.serving()
    notify("READY=1", f"STATUS=serving {info.address}")
    if is_terminal():
        greet(info.address, info.data_dir)
    else:
        log.info("serving", address=info.address, data_dir=info.data_dir, pid=os.getpid(), version=__version__)

    watching = partial(watch, folder, socket, server, authority)
    reason = await _until_end(config, server, authority, committing, told, watching)
    log.info("shutting down", reason=reason)
    notify("STOPPING=1", f"STATUS=shutting down: {reason}")
    authority.dismiss()
    await server.end_sessions(reason)
    taken = socket is not None and not socket.is_there
    if not taken:
        await server.stop()
    authority.drain()
    with suppress(StoreBrokenError):
        await committing
    broken = authority.broken  # before the store closes, which a backup that is under way takes for a failure
    with suppress(StoreBrokenError):
        await store.close()
    if broken is None:
        log.info("closed")
    else:
        log.error("the storage failed; start the daemon again to recover", error=str(broken))
    status = 0 if broken is None else EXIT_STORAGE_FAILED
    if taken:
        await server.wait_for_sessions()
        folder.close()
        os._exit(status)  # gRPC would remove the name of the socket that another daemon has now
    return status


def _note_signals() -> "tuple[asyncio.Future[str], Callable[[str], None]]":
    """Return the reason to end that the first signal will give, and what gives another one.

    None breaks into the start, and no further one into the end: they stay blocked, in this thread and in all that it starts,
    for the rest of the process, so that even a flood of them costs nothing. One thread takes the first.
    """
    loop = asyncio.get_running_loop()
    first: asyncio.Future[str] = loop.create_future()

    def note(reason: str) -> None:
        if not first.done():
            first.set_result(reason)

    def wait() -> None:
        number = signal.sigwait(_TO_END)
        with suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(note, f"received {signal.Signals(number).name}")

    signal.pthread_sigmask(signal.SIG_BLOCK, _TO_END)
    threading.Thread(target=wait, name="lastgood-signals", daemon=True).start()
    return first, note


def _spare_the_collector() -> None:
    """Have the garbage collector look less often at what is old: trees are many small objects without cycles that live long.

    At what is new it looks often, and so at little each time: the event loop waits meanwhile.
    """
    gc.freeze()
    gc.set_threshold(5_000, 2, 5_000)
    gc.enable()


async def _until_end(
    config: Config,
    server: RpcServer,
    authority: Authority,
    committing: "asyncio.Task[None]",
    told: "asyncio.Future[str]",
    watching: Callable[[], Coroutine[None, None, None]],
) -> str:
    """Wait for the first reason to end, and give it."""
    reasons: list[str] = []

    async with anyio.create_task_group() as group:

        def end(reason: str) -> None:
            reasons.append(reason)
            group.cancel_scope.cancel()

        async def on_signal() -> None:
            await asyncio.wait([told])
            end(told.result())

        async def on_broken() -> None:
            await asyncio.wait([committing])
            end("the storage failed")

        async def on_idle() -> None:
            await until_idle(server, authority, config.idle_exit)
            end(f"no client for {config.idle_exit:g} s")

        group.start_soon(on_signal)
        group.start_soon(on_broken)
        group.start_soon(keep_trimming, lambda: server.activity, authority.drop_idle)
        group.start_soon(watching)
        group.start_soon(_keep_house, authority, config.housekeeping_interval)
        if config.autostarted:
            group.start_soon(on_idle)
    return reasons[0]


async def _keep_house(authority: Authority, interval: float) -> None:
    await anyio.sleep(min(interval, FIRST_ROUND_SECONDS))
    while True:
        try:
            await _round(authority)
        except StoreBrokenError as error:
            authority.fail(error)
            return
        except (RefusedError, StoreFullError) as error:
            log.warning("housekeeping is put off until the next round", error=str(error))
        except Exception:
            log.exception("housekeeping failed")  # it is no reason for not serving
        await anyio.sleep(interval)


async def _round(authority: Authority) -> None:
    expired = await authority.expire_sessions()
    if expired:
        log.info("forgot sessions without a sign of life", sessions=expired)
    found = await authority.housekeeper.keep()
    if not found.is_empty:
        log.info("applied the retention policies", **asdict(found))
