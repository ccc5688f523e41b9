"""Keeping a workflow, giving it up, and deleting it."""

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Done
from lastgood_daemon.engine.errors import LeaseLostError
from lastgood_daemon.engine.log import Author


class Renew(msgspec.Struct, frozen=True):
    """Let the lease of an attempt run anew."""

    workflow_id: str
    author: Author
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        workflow, attempt = layer.workflow(self.workflow_id), self.author.attempt
        workflow.require_attempt(attempt, now)
        lease = workflow.progress.lease
        if lease is None:
            raise LeaseLostError(self.workflow_id, attempt)
        layer.put_workflow(workflow.with_lease(lease.renewed(now)), now)
        return Done()


class GiveUp(msgspec.Struct, frozen=True):
    """End the lease of a claim, wherever that is; the committer ends its wait, if it still waits."""

    workflow_id: str
    claim_id: str
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        workflow = layer.workflow(self.workflow_id)
        lease = workflow.progress.lease
        if lease is None or lease.claim_id != self.claim_id:
            return Done(existed=False)
        attempt = workflow.attempts.get(lease.attempt)
        ended = [] if attempt is None else [msgspec.structs.replace(attempt, ended_at=now)]
        workflow = workflow.with_lease(None)
        for each in ended:
            workflow = workflow.with_attempt(each)
        layer.put_workflow(workflow, now, ended)
        return Done()


class Release(msgspec.Struct, frozen=True):
    """Forget how many processes have died under the step at work of a workflow."""

    workflow_id: str
    author: Author
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        workflow = layer.workflow(self.workflow_id)
        workflow.require_free(now)
        if not workflow.progress.deaths(now):
            return Done(existed=False)
        layer.put_workflow(workflow.released(), now)
        return Done()


class DeleteWorkflow(msgspec.Struct, frozen=True):
    """Delete a workflow with its attempts, checkpoints and effects; the state of its id stays."""

    workflow_id: str
    author: Author
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        admit(layer, self.author, now, into=self.workflow_id)
        workflow = layer.workflow(self.workflow_id)
        if not workflow.progress.updated_at:
            return Done(existed=False)
        layer.bury_workflow(workflow)
        return Done()
