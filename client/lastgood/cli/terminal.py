"""Lines for people, questions, and what must not reach a terminal."""

import getpass
import io
import os
import select
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lastgood.cli.failures import FailedError, WrongUsageError

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters: commands, marks that cannot be seen, halves of a pair, ends of lines."""
_JOINERS = frozenset("\u200c\u200d")
"""Of the marks these belong to words, and to emoji."""


def plain(text: str) -> str:
    r"""Give a text with everything escaped that a terminal could obey: ``\x1b``, ``\n``, ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if _is_harmless(each) else each.encode("unicode_escape").decode() for each in text)


def say(text: str) -> None:
    """Print a line."""
    be_lenient(sys.stdout)
    sys.stdout.write(plain(text) + "\n")


def be_lenient(file: TextIO) -> None:
    """Let a stream put a ``?`` where its encoding does not have a character."""
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="replace")


def somebody_answers() -> bool:
    """Whether there is a terminal to ask at."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, what: str, *, yes: bool) -> None:
    """Go on only if that is meant: the rule of every command by which something is lost.

    Args:
        question: asked on a terminal, after what would be lost has been shown.
        what: what needs a yes, for whoever has no terminal.
        yes: whether ``--yes`` was given.

    Raises:
        FailedError: the answer was no.
        WrongUsageError: there is no terminal, and no ``--yes``.
    """
    if yes:
        return
    if not somebody_answers():
        text = f"{what}: --yes says that it is meant"
        raise WrongUsageError(text)
    ask(question)


def ask(question: str) -> None:
    """Go on only after a yes.

    The question goes to standard error, so that standard output has nothing but the answer to the command.

    Raises:
        FailedError: it was anything else.
    """
    with _interruptible() as interrupts:
        sys.stderr.write(f"{plain(question)} [y/N] ")
        sys.stderr.flush()
        select.select([sys.stdin, interrupts], [], [])
        answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        text = "nothing was changed"
        raise FailedError(text)


def ask_secret(question: str) -> str:
    """Give a line that is typed, which is not shown."""
    with _interruptible():
        return getpass.getpass(f"{plain(question)}: ")


@contextmanager
def _interruptible() -> Iterator[int]:
    """Let Ctrl-C end the waiting at once; gives a descriptor to wait for that becomes readable then.

    The event loop's own handler would take note of it, and wait on. And one that comes just before the waiting begins would
    not be noticed until something is typed, if only the terminal was waited for.
    """
    before = signal.getsignal(signal.SIGINT)
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    woken = signal.set_wakeup_fd(writable)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield readable
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGINT, before)
        os.close(readable)
        os.close(writable)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) not in _OBEYED
