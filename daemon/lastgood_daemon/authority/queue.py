"""The commands that wait to be evaluated: each session has its own line, and the lines take turns.

So a client that hands in 2,000 commands at once delays another one by a few, and not by all of them. Within a session they
keep their order.

    session a    1 2 3 4        session b    1        evaluated: a1 b1 a2 a3 a4
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from lastgood_daemon.authority.submission import Submission


class Queue:
    """See the module."""

    def __init__(self) -> None:
        self._first: deque[Submission] = deque()
        self._lines: OrderedDict[object, deque[Submission]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self._size

    def append(self, submission: Submission) -> None:
        """Add a command at the end of the line of its session."""
        key = submission if submission.identity is None else submission.identity.session_id
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
        line.append(submission)
        self._size += 1

    def put_first(self, submissions: Iterable[Submission]) -> None:
        """Put commands that have been evaluated in vain, in their order, before all others."""
        before = len(self._first)
        self._first.extendleft(reversed([*submissions]))
        self._size += len(self._first) - before

    def pop(self) -> Submission:
        """Take the next one."""
        self._size -= 1
        if self._first:
            return self._first.popleft()
        key, line = next(iter(self._lines.items()))
        submission = line.popleft()
        if line:
            self._lines.move_to_end(key)
        else:
            del self._lines[key]
        return submission
