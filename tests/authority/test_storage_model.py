"""Storage at work, against the plain model of the engine's: what is kept reads as before, whatever happens when.

The real authority over a real file (``storage``), driven by the commands and the model of ``tests.engine.test_model``; and
besides them: policies that are set, changed and removed; rounds of housekeeping that are held up at any of their steps while
others write, restart or crash; images after every few bytes and in many pieces, a log that is read a row at a time, a memory
that keeps nothing; restarts; crashes between any two writes, after which what is written is what the files had by then; a
disk that is full at any of them; and readers that take their time.

After every command: contents, last changes, workflows, as in the engine's model. After each round, restart and crash:

* **what is kept** reads as before, by revision and by time, with the last changes that it had; the rest is refused with what
  there is. What a policy keeps, and what is pinned, is kept; a round that nobody disturbs leaves nothing else;
* **history** lists what changed above the floor, and nothing of what has gone;
* **nothing acknowledged is lost**; what was under way is there as a whole or not at all;
* **checkpoints** go by their policy only, states by theirs, copies when nobody refers to them.

At each restart every state is rebuilt from its log alone, with no images but those that the log begins at.
"""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.authority.storage import StorageMachine

TestStorage = StorageMachine.TestCase
TestStorage.settings = settings(max_examples=3)


@pytest.mark.slow
def test_at_length() -> None:
    run_state_machine_as_test(StorageMachine, settings=settings(max_examples=30))
