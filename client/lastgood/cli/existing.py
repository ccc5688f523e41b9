"""States that a command is asked about: one that has never been written is a mistyped id, and an error that says so."""

import shlex

from lastgood import Client
from lastgood.errors import NotFoundError, StateNotFoundError


async def require(client: Client, state_id: str) -> int:
    """Return the revision of a state.

    Raises:
        StateNotFoundError: it has never been written, or was deleted.
    """
    revision = await client.state(state_id).revision()
    if not revision:
        raise missing(state_id)
    return revision


async def require_any(client: Client, name: str) -> None:
    """Check that there is a state or a workflow of that id.

    Raises:
        StateNotFoundError: there is neither.
    """
    if not await exists(client, name):
        raise missing(name)


async def exists(client: Client, name: str) -> bool:
    """Return whether there is a state or a workflow of that id."""
    return bool(await client.state(name).revision()) or await client.workflow(name).status() is not None


def missing(state_id: str) -> StateNotFoundError:
    """Return the error for a state that is not there."""
    name = shlex.quote(state_id)
    message = f"there is no state {state_id!r}: lastgood set {name} PATH VALUE makes it, lastgood states lists what there is"
    return StateNotFoundError(message, state_id=state_id)


def missing_workflow(workflow_id: str) -> NotFoundError:
    """Return the error for a workflow that is not there."""
    message = f"there is no workflow {workflow_id!r}: lastgood workflows lists them"
    return NotFoundError(message)
