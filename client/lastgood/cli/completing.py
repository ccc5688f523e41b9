"""What the shell offers for the ids of states and workflows: those of a daemon that runs; none is started for it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import typer

import lastgood

_SECONDS = 1.0


def states(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of states that begin so."""

    async def listed(client: lastgood.Client) -> Iterable[str]:
        return await client.list_states()

    return _offered(context, incomplete, listed)


def workflows(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of workflows that begin so."""

    async def listed(client: lastgood.Client) -> Iterable[str]:
        return [each.workflow_id for each in await client.list_workflows()]

    return _offered(context, incomplete, listed)


def _offered(
    context: typer.Context, incomplete: str, listed: Callable[[lastgood.Client], Awaitable[Iterable[str]]]
) -> list[str]:
    given = {name: context.params.get(name) for name in ("address", "data_dir")}

    async def ask() -> list[str]:
        async with lastgood.connect(
            given["address"], data_dir=given["data_dir"], autostart=False, timeout=_SECONDS
        ) as client:
            return [each for each in await listed(client) if each.startswith(incomplete)]

    try:
        return asyncio.run(ask())
    except (lastgood.LastgoodError, OSError):  # a shell that completes is no place for errors
        return []
