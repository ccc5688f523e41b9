"""What is said about an effect in doubt: one that was begun, and of whose end nothing is known."""

from typing import Final, Literal

InDoubtChoice = Literal["run", "raise"]


class NotDone:
    """The type of ``NOT_DONE``."""

    __slots__ = ()

    def __repr__(self) -> str:
        """For people."""
        return "lastgood.NOT_DONE"

    def __reduce__(self) -> str:
        """Pickle by name: there is only one."""
        return "NOT_DONE"


NOT_DONE: Final = NotDone()
"""What the function given as ``in_doubt=`` to ``step.once`` gives where the outside service knows nothing of the effect."""
