"""The version of this package, and which daemons it can talk to."""

__version__ = "0.1.0"


def fits(daemon_version: str) -> bool:
    """Whether a client of this version understands a daemon of that one: the same major version, or 0.x of the same x."""
    ours, theirs = _leading_numbers(__version__), _leading_numbers(daemon_version)
    return theirs is None or ours == theirs


def _leading_numbers(version: str) -> tuple[int, ...] | None:
    """``(1,)`` of 1.4.2, ``(0, 3)`` of 0.3.1, None of what is no version."""
    parts = version.split(".")
    try:
        major = int(parts[0])
        return (major,) if major else (major, int(parts[1]))
    except (ValueError, IndexError):
        return None
