"""Leases across a restart: time goes on where it was, so that neither the living lose them nor the dead keep them."""

from pathlib import Path

import pytest
from tests.authority.at_work import LONG, Daemon, attempt, claim, give_up, reason, running, write

from lastgood_daemon.authority.commands.leases import Renew
from lastgood_daemon.authority.outcomes import Done, Written
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.log import Author
from lastgood_daemon.store.sqlite import clock
from lastgood_daemon.store.timeline import GRACE, MOST_COUNTED, SECOND

RENEW = Renew("wf", Author("", "wf", 1))
DAY = 24 * 3600 * SECOND


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> "Away":
    return Away(monkeypatch)


class Away:
    """Sets the clock on the wall of the stores that are opened from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0
        real = clock.wall
        monkeypatch.setattr(clock, "wall", lambda: real() + self.ahead)

    def __call__(self, length: int) -> None:
        self.ahead += length


async def leases(daemon: Daemon) -> list[Lease | None]:
    """Give the lease of the workflow as it is asked for, and as it is listed."""
    listed, more = await daemon.authority.list_workflows("", 10)
    assert not more
    workflow = await daemon.authority.ask(lambda reader: reader.workflow("wf"))
    assert [workflow_id for workflow_id, _ in listed] == ["wf"]
    progress = listed[0][1]
    assert progress is not None
    return [workflow.progress.lease, progress.lease]


async def remaining(daemon: Daemon) -> int:
    one, other = await leases(daemon)
    assert one is not None
    assert one == other
    return one.expires_at - daemon.store.now()


@pytest.mark.parametrize("downtime", [0, SECOND, DAY, 100 * DAY, -DAY], ids=["none", "short", "a day", "long", "set back"])
async def test_who_was_alive_at_the_end_has_what_was_left_or_a_grace(tmp_path: Path, away: Away, downtime: int) -> None:
    lease = 20 * SECOND
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=lease)))
        daemon.store.turned += 4 * SECOND
        assert isinstance(await daemon.do(write(1)), Written)
    away(downtime)
    async with running(tmp_path) as daemon:
        counted = min(max(downtime, 0), MOST_COUNTED)
        assert abs(await remaining(daemon) - (lease - 4 * SECOND - counted)) < SECOND
        assert await reason(daemon.ask(claim("b", 0))) == "WORKFLOW_BUSY"
        assert await daemon.do(RENEW) == Done()
        assert abs(await remaining(daemon) - lease) < SECOND


async def test_the_grace_is_at_least_what_a_client_needs_to_come_back(tmp_path: Path, away: Away) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SECOND)))
        daemon.store.turned += SECOND - 1
        assert isinstance(await daemon.do(write(1)), Written)
    away(DAY)
    async with running(tmp_path) as daemon:
        assert abs(await remaining(daemon) - GRACE) < SECOND
        daemon.store.turned += GRACE
        assert await reason(daemon.ask(write(1))) == "LEASE_LOST"


async def test_one_that_had_expired_stays_so(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SECOND)))
        daemon.store.turned += SECOND
        await daemon.do(claim("other", workflow="other"))
    async with running(tmp_path) as daemon:
        assert await reason(daemon.ask(RENEW)) == "LEASE_LOST"
        assert await attempt(daemon.ask(claim("b", 0))) == 2


async def test_a_dead_holder_loses_it_however_often_the_daemon_starts(tmp_path: Path, away: Away) -> None:
    """Nothing is written in between; each time it was there for a while, of which only the clock on the wall tells."""
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=30 * SECOND)))
    held = []
    for _ in range(6):
        away(8 * SECOND)
        async with running(tmp_path) as daemon:
            held.append(await remaining(daemon) > 0)
    assert held == [True] * 4 + [False] * 2, "after 32 s there is a grace once"
    async with running(tmp_path) as daemon:
        assert await attempt(daemon.ask(claim("b", 0))) == 2


async def test_a_living_holder_keeps_it_however_often_the_daemon_starts(tmp_path: Path, away: Away) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=3 * SECOND)))
    for _ in range(10):
        away(8 * SECOND)
        async with running(tmp_path) as daemon:
            assert await daemon.do(RENEW) == Done()
            assert isinstance(await daemon.do(write(1)), Written)


async def test_a_lease_from_a_store_whose_clock_was_ahead_ends_with_its_length(tmp_path: Path, away: Away) -> None:
    """The clock was in another century for one write, and was set right with a restart."""
    century = 100 * 365 * DAY
    away(century)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=30 * SECOND)))
    away(-century)
    async with running(tmp_path) as daemon:
        assert 0 < await remaining(daemon) <= 30 * SECOND
        daemon.store.turned += 30 * SECOND
        assert await attempt(daemon.ask(claim("b", 0, lease=30 * SECOND))) == 2
    async with running(tmp_path) as daemon:
        daemon.store.turned += 30 * SECOND
        assert await attempt(daemon.ask(claim("c", 0))) == 3


async def test_a_lease_that_was_given_up_stays_so(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        assert await daemon.do(give_up("a")) == Done()
    async with running(tmp_path) as daemon:
        assert await leases(daemon) == [None, None]
        assert not daemon.authority.holds
        assert await attempt(daemon.ask(claim("b", 0))) == 2


async def test_whoever_waits_after_a_restart_waits_for_that(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SECOND)))
    async with running(tmp_path) as daemon:
        b = daemon.ask(claim("b"))
        await daemon.settled()
        assert not b.done()
        daemon.store.turned += LONG
        await daemon.do(claim("other", workflow="other"))
        assert await attempt(b) == 2
