"""What a process inherits of signals: which of them are blocked, and which are ignored.

Both outlive an ``exec``. A client that blocks signals in its threads, or was started with ``nohup``, would otherwise start a
daemon that no signal but SIGKILL ends.
"""

import signal

_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def unblock() -> None:
    """Let all signals through."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def heed() -> None:
    """End on what ends a process, also where whoever started this one ignored it."""
    for number in _ENDS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
