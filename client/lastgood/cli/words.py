"""The words of a command line, before anything is made of them."""

from collections.abc import Sequence

_WITH_VALUE = frozenset({"--data-dir", "--address", "--agent-id", "--timeout"})
_FLAGS = frozenset({"--json", "--no-autostart"})
_GROUPS = frozenset({"workflow"})


def in_order(words: Sequence[str]) -> list[str]:
    """Return the words with the common options after the command: they may stand before it, too.

    ::

        --json workflow show wf-123    becomes    workflow show --json wf-123
    """
    common: list[str] = []
    rest = list(words)
    while rest and rest[0].partition("=")[0] in _WITH_VALUE | _FLAGS:
        taken = 2 if rest[0] in _WITH_VALUE else 1
        common += rest[:taken]
        del rest[:taken]
    if not rest or rest[0].startswith("-"):
        return list(words)
    end = 2 if rest[0] in _GROUPS and len(rest) > 1 and not rest[1].startswith("-") else 1
    return [*rest[:end], *common, *rest[end:]]


def wants_json(words: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options."""
    options = list(words)
    return "--json" in (options[: options.index("--")] if "--" in options else options)
