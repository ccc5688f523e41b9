"""Addresses to listen at: ``unix:/path``, or ``host:port``."""

import errno
import socket
from pathlib import Path

import grpc

_MOST_PORT = 65535


class AddressRefusedError(Exception):
    """The daemon cannot listen at an address; says why, and what to do."""


def problem_with(address: str) -> str:
    """Return what is wrong with an address; "" where nothing is."""
    kind, _, path = address.partition(":")
    host, _, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= _MOST_PORT
    if path.removeprefix("//") if kind == "unix" else host and "/" not in host and is_port:
        return ""
    return f"address must be unix:/path or host:port, got {address!r}"


def why_refused(address: str) -> AddressRefusedError | None:
    """Find out why the daemon cannot listen at a host and port, which gRPC does not say; None where it can."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            probe.bind(place)
            probe.listen()
    except socket.gaierror:
        return AddressRefusedError(f"the host of address {address} cannot be resolved. Name another one")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return AddressRefusedError(f"another process listens at {address}. Stop it, or name another address")
        return AddressRefusedError(f"the daemon cannot listen at {address}: {error.strerror}. Name another address")
    return None


def server_credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    """Read the two files that TLS needs.

    Raises:
        AddressRefusedError: one of them cannot be read, or they do not go together.
    """
    import ssl  # noqa: PLC0415 - takes milliseconds of every start, and most need none

    read = {}
    for name, path in (("tls-certificate", certificate), ("tls-key", key)):
        try:
            read[name] = path.read_bytes()
        except OSError as error:
            message = f"--{name} must be a PEM file that can be read, got {str(path)!r}: {error.strerror}"
            raise AddressRefusedError(message) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        message = f"--tls-certificate {certificate} and --tls-key {key} must be a certificate and its key in PEM form: {why}"
        raise AddressRefusedError(message) from error
    return grpc.ssl_server_credentials([(read["tls-key"], read["tls-certificate"])])
