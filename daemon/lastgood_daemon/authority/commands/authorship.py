"""Whether a writer may still write, and under which name."""

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.engine.log import Author


def admit(layer: Layer, author: Author, now: int, *, into: str = "") -> Author:
    """Let only those pass who may write, and give them with the step that their attempt has open.

    Args:
        layer: what there is.
        author: who wants to write.
        now: by the store's clock.
        into: the workflow whose state, checkpoints or effects are to be written, which has the id of that state.

    Raises:
        FencedError: the author belongs to an attempt that a later one has replaced.
        LeaseLostError: to one whose lease has expired.
        WorkflowBusyError: somebody holds that workflow, and the author does not belong to the holder's attempt.
    """
    if author.workflow_id:
        workflow = layer.workflow(author.workflow_id)
        workflow.require_attempt(author.attempt, now)
        at_work = workflow.progress.step
        if at_work is not None and workflow.labelled_step(author.attempt) is not None:
            author = author._replace(agent_id=author.agent_id or at_work.agent_id, step=at_work.step)
    if into and into != author.workflow_id:
        layer.workflow(into).require_free(now)
    return author
