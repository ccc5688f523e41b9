"""What a daemon that did not start has said, in words: its log has lines of JSON, which are for programs."""

import json

_LEVELS = ("error", "critical")


def last_words(log: str) -> str:
    """Return why a daemon ended: its last error, or without one its last line; "" where it said nothing."""
    lines = [line for line in map(str.strip, log.splitlines()) if line]
    events = [event for event in map(_event, lines) if event]
    if events and _event(lines[-1]):
        event = next((each for each in reversed(events) if each.get("level") in _LEVELS), events[-1])
        return ": ".join(str(event[name]) for name in ("event", "error") if event.get(name))
    return lines[-1] if lines else ""


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
