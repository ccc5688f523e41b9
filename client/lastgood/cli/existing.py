"""States that a command is asked about: one that has never been written is a mistyped id, and an error that says so."""

import shlex

from lastgood import Client
from lastgood.cli.failures import FailedError


async def require(client: Client, state_id: str) -> int:
    """Return the revision of a state.

    Raises:
        FailedError: it has never been written, or was deleted.
    """
    revision = await client.state(state_id).revision()
    if not revision:
        raise missing(state_id)
    return revision


async def require_any(client: Client, name: str) -> None:
    """Check that there is a state or a workflow of that id.

    Raises:
        FailedError: there is neither.
    """
    if not await client.state(name).revision() and await client.workflow(name).status() is None:
        raise missing(name)


def missing(state_id: str) -> FailedError:
    """Return the error for a state that is not there."""
    name = shlex.quote(state_id)
    message = f"there is no state {state_id!r}: lastgood states lists them, lastgood set {name} PATH VALUE makes it"
    return FailedError(message)


def missing_workflow(workflow_id: str) -> FailedError:
    """Return the error for a workflow that is not there."""
    message = f"there is no workflow {workflow_id!r}: lastgood workflows lists them"
    return FailedError(message)
