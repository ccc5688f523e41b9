"""The runs at a workflow, and the steps that they have opened."""

import msgspec


class Attempt(msgspec.Struct, frozen=True):
    """One run; one record in the store. Times in microseconds."""

    number: int
    agent_id: str
    holder: str
    """As told by the claimant; empty where it holds no lease."""
    began_at: int
    line: int
    next_step: int
    back: bool
    """Whether it went back to a step that was named."""
    from_revision: int
    revision: int
    """Of the state, before and after its rollback."""
    died_step: int | None = None
    """The step under which the process of the attempt before had died."""
    ended_at: int = 0


class StepAtWork(msgspec.Struct, frozen=True):
    """The step that was begun last and has not been completed.

    It is open from its begin to its end. One that is still open when another attempt begins has lost its process:

        begin  open, 0 deaths   💥   attempt 2: 1 death   begin  open, 1 death   💥   attempt 3: 2 deaths …
    """

    step: int
    agent_id: str
    attempt: int
    began_at: int
    is_open: bool = True
    deaths: int = 0

    def closed(self) -> "StepAtWork":
        """Give it as it is after its end, or when its own process begins anew."""
        return msgspec.structs.replace(self, is_open=False)

    def bereft(self) -> "StepAtWork":
        """Give it as it is for those who find it: one that is open has lost its process."""
        return msgspec.structs.replace(self, is_open=False, deaths=self.deaths + 1) if self.is_open else self
