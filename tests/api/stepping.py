"""What tests of steps share: how the checkpoints of a workflow are listed."""

from lastgood import (
    AgentStatus,
    Client,
)

COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED


async def listed(client: Client, wf: str) -> list[tuple[int, int, AgentStatus]]:
    return [(each.step, each.attempt, each.status) for each in await client.checkpoints.list_checkpoints(wf)]
