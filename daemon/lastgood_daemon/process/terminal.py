"""What ``lastgood serve`` shows on a terminal: how to connect and how to stop, then its log, all wrapped at words."""

import shlex
import shutil
import sys
import textwrap
from collections.abc import MutableMapping
from typing import Any

_LONG_TIME = len("2026-01-02T")
_INDENT = " " * len("12:34:56 ")
_HIDDEN = frozenset({"event", "level", "timestamp", "logger", "exception"})


def is_terminal() -> bool:
    """Whether the daemon speaks to a person."""
    return sys.stderr.isatty()


def greet(address: str, data_dir: str) -> None:
    """Say on the terminal what is served and at which address, how to connect and how to stop."""
    lines = [
        f"Serving: {data_dir}",
        f"Address: {address}",
        f"Connect: lastgood status --data-dir {shlex.quote(data_dir)}",
        "Stop:    Ctrl-C",
    ]
    sys.stderr.write("\n".join(wrapped(line, "  ") for line in lines) + "\n")
    sys.stderr.flush()


def wrapped(text: str, indent: str) -> str:
    """Break a line between words where it is longer than the terminal is wide. What has no blanks stays whole."""
    columns = max(shutil.get_terminal_size().columns, len(indent) + 1)
    lines = textwrap.wrap(
        text,
        columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
    return "\n".join(lines)


_SENTENCES = frozenset({"error", "reason"})
"""What goes on with what happened, and needs no name."""


def log_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write an event of the log for a person: the time, its level unless that is "info", what happened, and with what."""
    time = str(event.get("timestamp", ""))[_LONG_TIME : _LONG_TIME + 8]
    level = event.get("level", "info")
    said = str(event.get("event", "")) if level == "info" else f"{level}: {event.get('event', '')}"
    shown = [(name, value) for name, value in event.items() if name not in _HIDDEN]
    details = ", ".join(str(value) if name in _SENTENCES else f"{name} {value}" for name, value in shown)
    line = wrapped(f"{time} {said}{': ' if details else ''}{details}", _INDENT)
    return f"{line}\n{event['exception']}" if "exception" in event else line
