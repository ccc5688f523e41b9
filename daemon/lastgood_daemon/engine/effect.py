"""An effect on the outside world, as the ledger of a workflow knows it.

claim                        CLAIMED   runs=1
the process dies
claim, by the next attempt   CLAIMED   runs=2, in doubt: it has run once or not at all, and now runs again
record                       RECORDED  from here on its result is given, and it never runs again
"""

import msgspec

CLAIMED = 1
"""EFFECT_STATUS_CLAIMED of the contract; the others likewise."""
RECORDED = 2
FAILED = 3
DONE = 4


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A failure that counts as a result: its type and text, and what to make it from again."""

    type_name: str
    message: str
    arguments: bytes | None = None


class Effect(msgspec.Struct, frozen=True):
    """One effect of one step; one record in the store. Times in microseconds."""

    workflow_id: str
    step: int
    key: str
    line: int
    idempotency_key: str
    status: int
    attempt: int
    agent_id: str
    claimed_at: int
    runs: int = 1
    in_doubt: bool = False
    recorded_at: int = 0
    result: bytes | None = None
    failure: Failure | None = None
    superseded: bool = False
    superseded_at: int = 0

    @property
    def order(self) -> tuple[int, str, int]:
        """Step, key, line: together its identity within the workflow, and the order of all lists."""
        return (self.step, self.key, self.line)

    def claimed_again(self, attempt: int, agent_id: str) -> "Effect":
        """Give it as it is when it runs again without a word of what has become of it."""
        return msgspec.structs.replace(self, attempt=attempt, agent_id=agent_id, runs=self.runs + 1, in_doubt=True)

    def recorded(self, result: bytes | None, failure: Failure | None, now: int) -> "Effect":
        """Give it with what came of it; neither result nor failure: it has happened, and its result cannot be stored."""
        status = FAILED if failure is not None else DONE if result is None else RECORDED
        return msgspec.structs.replace(self, status=status, result=result, failure=failure, recorded_at=now)

    def without_result(self) -> "Effect":
        """Give it as lists show it: a result may be large."""
        return msgspec.structs.replace(self, result=None)
