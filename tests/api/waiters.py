"""A process that waits for a workflow."""

import asyncio
from pathlib import Path

import lastgood

LEASE = 60.0
"""Seconds: long, so that nobody gets the workflow because a lease has expired."""


def wait_for(folder: str, wf: str, name: str, report: str) -> int:
    """Wait for a workflow, say so when it is held, and hold it for ever."""
    asyncio.run(_wait_for(folder, wf, name, Path(report)))
    return 0


async def _wait_for(folder: str, wf: str, name: str, report: Path) -> None:
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0, agent_id=name) as client:
        await client.server_info()
        report.write_text("waits")
        async with client.workflow(wf, lease=LEASE, wait=True) as workflow:
            report.write_text(f"holds {workflow.attempt}")
            await asyncio.Event().wait()
