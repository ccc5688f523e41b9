"""Why a daemon ended, by what it has logged."""

import pytest

from lastgood.transport.last_words import last_words


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ('{"event": "cannot start", "level": "error", "error": "no room"}\n', "cannot start: no room"),
        ('{"event": "cannot start", "level": "error", "error": "no room"}\n{"event": "closed"}\n', "cannot start: no room"),
        ('{"event": "closed", "level": "info"}\n', "closed"),
        ('{"event": "closed"}\nTraceback\n  line\nImportError: no module\n', "ImportError: no module"),
        ("lastgood serve: --memory: wrong\n", "lastgood serve: --memory: wrong"),
        ("[1]\n", "[1]"),
        ("", ""),
    ],
)
def test_the_last_error_in_words(log: str, said: str) -> None:
    assert last_words(log) == said
