"""What goes wrong in a command itself, rather than in a call to the daemon."""


class FailedError(Exception):
    """The operation failed; the message says what to do."""


class WrongUsageError(Exception):
    """The command line makes no sense; the message says why."""
