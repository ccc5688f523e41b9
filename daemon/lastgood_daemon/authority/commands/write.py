"""Writing into a state: set, update, merge, append, increment, delete, and transactions of them."""

from collections.abc import Sequence

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.engine.edits import Edit
from lastgood_daemon.engine.labour import empty, let_go
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition, require
from lastgood_daemon.engine.state import Made, State, made, plan


class Write(msgspec.Struct, frozen=True):
    """Apply edits, each under the name that the history gives it, as one revision."""

    state: StateRef
    author: Author
    precondition: Precondition
    edits: Sequence[tuple[str, Edit]]
    size: int

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        state = find_state(layer, self.state)
        author = admit(layer, self.author, now, into=state.state_id)
        made = layer.made(state, author, lambda: self._work_out(state, author, now))
        if made is None:
            return Written(state.point(), existed=False)
        return Written(layer.put(state, made).point(), number=made.number)

    def let_go(self) -> None:
        """See ``Large``."""
        if isinstance(self.edits, list):
            let_go(self.edits)
        if isinstance(self.precondition.paths, dict):
            empty(self.precondition.paths)

    def _work_out(self, state: State, author: Author, now: int) -> Made | None:
        """Return the next revision; nothing where there is none."""
        require(state, self.precondition)
        planned = plan(state.tree, self.edits)
        if not planned.writes:
            return None
        found = made(state, planned.edits, author, now, planned.tree, planned.number)
        let_go(planned.edits)
        return found
