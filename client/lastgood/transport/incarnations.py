"""Of which life of a state the revisions are that a client has been told.

A number such as that of ``expected={"plan": 5}`` does not say of which life of the state it is. After a deletion the state
begins again at revision 0, and a 5 that was learned before would be taken for one of the new life:

    read("plan")                 revision 5, life 1           noted
    another client deletes the state, and writes it 7 times   life 2, revision 7
    set(…, expected={"plan": 5}) sent as 5 of life 1          RevisionConflictError

All handles of a client share what is noted, since a number that one of them was told may be given to another.
"""

import threading
from collections import OrderedDict

MOST_STATES = 10_000
"""Remembered; of the others a number is taken for one of the present life."""
_LIVES = 2
"""Remembered of a state, the last ones that were told of."""


class Incarnations:
    """See the module. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, dict[int, int]] = OrderedDict()
        """State id to incarnation, in the order in which they were told of, to the highest revision of it."""

    def note(self, state_id: str, incarnation: int, revision: int) -> None:
        """Note that an answer told of a revision."""
        with self._lock:
            lives = self._seen.setdefault(state_id, {})
            highest = lives.pop(incarnation, 0)
            lives[incarnation] = max(highest, revision)
            if len(lives) > _LIVES:
                del lives[next(iter(lives))]
            self._seen.move_to_end(state_id)
            if len(self._seen) > MOST_STATES:
                self._seen.popitem(last=False)

    def of(self, state_id: str, revision: int) -> int:
        """Return the incarnation that a revision is of: the last told of that has reached it; 0 where nothing is known.

        A revision that none has reached, as far as is known, was told by somebody else, and is of the last one told of.
        """
        with self._lock:
            lives = self._seen.get(state_id, {})
            return next(
                (incarnation for incarnation, highest in reversed(lives.items()) if revision <= highest),
                next(reversed(lives), 0),
            )
