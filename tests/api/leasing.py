"""What tests of leases share: how long they are, and who has one."""

from lastgood import (
    Client,
)

SHORT = 1.0
"""Seconds of a lease that is to expire."""
BRISK = 3.0
"""Seconds of one that is not to, however busy the machine; it is renewed, and a loss noticed, after a third of them."""


async def holder(client: Client, wf: str) -> str | None:
    status = await client.workflow(wf).status()
    return status.lease.holder if status is not None and status.lease is not None else None
