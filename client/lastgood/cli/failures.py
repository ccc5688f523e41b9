"""What goes wrong in a command itself, rather than in a call to the daemon."""


class FailedError(Exception):
    """The operation failed; the message says what to do, and ``reason`` what ``--json`` calls it."""

    def __init__(self, message: str, *, reason: str = "FAILED") -> None:
        """Keep the message and the reason."""
        super().__init__(message)
        self.reason = reason


class WrongUsageError(Exception):
    """The command line makes no sense; the message says why."""
