"""What is said about what goes wrong."""

import pytest

from lastgood import errors
from lastgood.remedies import hint


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            errors.WorkflowBusyError("held by a", workflow_id="wf"),
            ": lastgood resume wf --force takes it from its holder",
        ),
        (errors.FencedError("replaced", workflow_id="a b"), ": lastgood resume 'a b' begins a new attempt"),
        (errors.LeaseLostError("expired", workflow_id="wf"), ": lastgood resume wf begins a new attempt"),
        (errors.StepOrderError("not the next", workflow_id="wf"), ": lastgood workflow show wf tells where it stands"),
        (
            errors.InDoubtError("begun", workflow_id="wf"),
            ": ask the outside service for that key; lastgood workflow show wf lists the effects",
        ),
        (errors.PoisonedStepError("3 have died; release it: lastgood release wf", workflow_id="wf"), ""),
        (errors.OverloadedError("full"), ": try again later"),
        (errors.OverloadedError("full, try again later"), ""),
        (errors.PathError("no path"), ""),
    ],
)
def test_what_to_do(error: errors.LastgoodError, said: str) -> None:
    assert hint(error) == said
