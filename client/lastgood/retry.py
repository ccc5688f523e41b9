"""When a failed step is tried again."""

import math
from dataclasses import dataclass

from lastgood import arguments
from lastgood.errors import FencedError, InvalidArgumentError, LeaseLostError, PoisonedStepError, StepOrderError

_NEVER = (FencedError, LeaseLostError, PoisonedStepError, StepOrderError)
"""What no retry within the same attempt can cure."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried, and when again. Each try that fails is rolled back before the next one begins.

    Attributes:
        attempts: how often at most, the first time included.
        backoff: seconds before the second try.
        factor: how many times longer each further pause is.
        max_backoff: seconds that no pause exceeds.
        on: the exceptions after which it is tried again: classes, or one. FencedError, LeaseLostError, PoisonedStepError and
            StepOrderError are never among them, and neither is a cancellation.

    Raises:
        InvalidArgumentError: one of them makes no sense.
    """

    attempts: int = 3
    backoff: float = 1.0
    factor: float = 2.0
    max_backoff: float = 60.0
    on: tuple[type[Exception], ...] | type[Exception] = (Exception,)

    def __post_init__(self) -> None:
        """Check it."""
        if arguments.check_count(self.attempts, "attempts") < 1:
            text = f"attempts must be at least 1, since it counts the first try too, got {self.attempts}"
            raise InvalidArgumentError(text, field="attempts")
        for name, least in (("backoff", 0.0), ("factor", 1.0), ("max_backoff", 0.0)):
            number = arguments.check_number(getattr(self, name), name)
            if not least <= number < math.inf:
                text = f"{name} must be a number from {least:g}, got {number!r}"
                raise InvalidArgumentError(text, field=name)
        object.__setattr__(self, "on", arguments.check_exceptions(self.on, "on"))

    def pause_after(self, tries: int, error: BaseException) -> float | None:
        """Seconds until the next try, after so many that have failed, the last one with that error; None: none follows."""
        if tries >= self.attempts or not isinstance(error, self.on) or isinstance(error, _NEVER):
            return None
        try:
            return min(self.backoff * self.factor ** (tries - 1), self.max_backoff)
        except OverflowError:
            return self.max_backoff if self.backoff else 0.0
