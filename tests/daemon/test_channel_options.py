"""The options that grpc is given: it ignores a name that it does not know, without a word."""

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.support.daemons import DaemonProcess

from lastgood.transport import link
from lastgood_daemon.rpc import server

LIBRARY = next(Path(grpc.__file__).parent.glob("_cython/cygrpc*.so"))
PINGS = 8
APART_SECONDS = 0.12
SHORTEST_MS = 100
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7


@pytest.mark.parametrize("name", sorted({name for name, _ in (*server.OPTIONS, *link._OPTIONS, *link._TCP_OPTIONS)}))  # noqa: SLF001 - nothing shows which options a channel has
def test_grpc_knows_the_option(name: str) -> None:
    assert name.encode() + b"\0" in LIBRARY.read_bytes()


def allow_frequent_pings() -> None:
    """Let a daemon allow in tenths of a second what it normally allows every twenty seconds."""
    server.OPTIONS = tuple(
        (name, SHORTEST_MS if name.endswith("ping_interval_without_data_ms") else value) for name, value in server.OPTIONS
    )


def test_an_idle_client_on_tcp_that_pings_stays_connected(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", "--address", "127.0.0.1:0", forked=True, mutant=allow_frequent_pings).start()
    try:
        host, _, port = daemon.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=APART_SECONDS) as connection:
            connection.sendall(PREFACE + frame(SETTINGS))
            received = b""
            for number in range(PINGS):
                connection.sendall(frame(PING, number.to_bytes(8, "big")))
                received += until_quiet(connection)
        kinds = list(kinds_of(received))
        assert GOAWAY not in kinds, received  # it would say too_many_pings
        assert kinds.count(PING) >= PINGS - 1
        assert daemon.stop() == 0
    finally:
        daemon.close()


def frame(kind: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


def until_quiet(connection: socket.socket) -> bytes:
    """Receive until nothing has come for as long as pings are apart, or no more will come."""
    received = b""
    try:
        while more := connection.recv(4096):
            received += more
    except TimeoutError:
        pass
    return received


def kinds_of(received: bytes) -> Iterator[int]:
    while received:
        yield received[3]
        received = received[9 + int.from_bytes(received[:3], "big") :]
