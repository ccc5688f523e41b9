"""What the rows of a log say, for tests in which nothing was compacted."""

from lastgood_daemon.engine.log import Entry, decode_row


def entry_of(encoded: bytes) -> Entry:
    """Give the entry that a row holds."""
    entry = decode_row(encoded)
    assert isinstance(entry, Entry)
    return entry
