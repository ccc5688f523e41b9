"""Telling systemd how the daemon is, where it wants to know: sd_notify(3), for units of Type=notify."""

import os
import socket


def supervised() -> bool:
    """Whether a service manager has started this process and waits to be told when it is ready."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(*assignments: str) -> None:
    """Send assignments such as ``READY=1``; without a service manager nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto("\n".join(assignments).encode(), address)
