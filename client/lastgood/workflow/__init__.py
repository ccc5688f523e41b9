"""Workflows that go on after their agents: attempts, leases, steps, effects.

::

    ResumableWorkflow   what users hold                                workflow.py
      WorkflowRecords   what the daemon knows of it                    records.py
    Run                 its present attempt; how its calls are made    run.py
      Claim             a hold on the workflow, kept alive             claim.py
    Step                one step                                       step.py
      StepCalls         its beginning and its end                      calls.py
      Effects           its ledger of side effects                     effects.py
"""

from lastgood.workflow.step import Step
from lastgood.workflow.workflow import ResumableWorkflow

__all__ = ["ResumableWorkflow", "Step"]
