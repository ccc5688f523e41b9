"""Daemons with one thing broken. A regime that does not notice it shows nothing.

Each function breaks the process that calls it, before that serves (``DaemonProcess(mutant=…)``). What is not there any more
under its name breaks nothing, and the test that expects to notice it fails.
"""


def sync_less() -> None:
    """SQLite's synchronous=NORMAL: a commit is written when it returns, and not yet on the disk."""
    from lastgood_daemon.store.sqlite import connection  # noqa: PLC0415 - only in a process that is to be a daemon

    connection._SYNCHRONOUS_FULL = 1  # noqa: SLF001 - there is no option for it


def answer_before_commit() -> None:
    """A commit is said to be done when it begins. The next one waits for it, so only one is ever at stake."""
    import asyncio  # noqa: PLC0415

    from lastgood_daemon.store.protocol import Committed, Outcome, Unit  # noqa: PLC0415
    from lastgood_daemon.store.sqlite import SqliteStore  # noqa: PLC0415

    commit = SqliteStore.commit
    under_way: asyncio.Task[list[Outcome]] | None = None

    async def hasty(self: SqliteStore, units: list[Unit]) -> list[Outcome]:
        nonlocal under_way
        if under_way is not None:
            await under_way
        under_way = asyncio.ensure_future(commit(self, units))
        return [Committed() for _ in units]

    SqliteStore.commit = hasty  # type: ignore[method-assign, assignment]


def forget_answers() -> None:
    """A request that comes again is taken for a new one."""
    from lastgood_daemon.authority.outcomes import Outcome  # noqa: PLC0415
    from lastgood_daemon.authority.sessions import Identity, Session  # noqa: PLC0415

    def forgetful(self: Session, identity: Identity) -> Outcome | None:  # noqa: ARG001 - that is what is wrong with it
        return None

    Session.recall = forgetful  # type: ignore[method-assign]
