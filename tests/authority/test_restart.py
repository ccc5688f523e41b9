"""Leases across a restart: a holder could not renew while nobody answered, so each has its full length again."""

from pathlib import Path

import pytest
from tests.authority.at_work import LONG, SOON, Daemon, attempt, claim, give_up, reason, running, write

from lastgood_daemon.authority.commands.leases import Renew
from lastgood_daemon.authority.outcomes import Done, Written
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.log import Author

RENEW = Renew("wf", Author("", "wf", 1))


async def leases(daemon: Daemon) -> list[Lease | None]:
    """Give the lease of the workflow as it is asked for, and as it is listed."""
    listed, more = await daemon.authority.list_workflows("", 10)
    assert not more
    workflow = await daemon.authority.ask(lambda reader: reader.workflow("wf"))
    assert [workflow_id for workflow_id, _ in listed] == ["wf"]
    progress = listed[0][1]
    assert progress is not None
    return [workflow.progress.lease, progress.lease]


@pytest.mark.parametrize("passed", [0, SOON - 1, SOON, 100 * SOON], ids=["fresh", "nearly over", "over", "long over"])
async def test_a_lease_that_was_not_given_up_has_its_full_length_again(tmp_path: Path, passed: int) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SOON)))
        daemon.store.turned += passed
        if passed >= SOON:
            assert await reason(daemon.ask(write(1))) == "LEASE_LOST"
    async with running(tmp_path) as daemon:
        until = daemon.store.leases_since + SOON
        assert await leases(daemon) == [Lease(1, "claim of a", "a", SOON, until)] * 2
        daemon.store.turned += SOON - 1
        assert await reason(daemon.ask(claim("b", 0))) == "WORKFLOW_BUSY"
        assert isinstance(await daemon.do(write(1)), Written)
        assert await daemon.do(RENEW) == Done()
        daemon.store.turned += SOON - 1
        assert isinstance(await daemon.do(write(1)), Written)
        daemon.store.turned += 1
        assert await reason(daemon.ask(write(1))) == "LEASE_LOST"
        assert await reason(daemon.ask(RENEW)) == "LEASE_LOST"
        assert await attempt(daemon.ask(claim("b", 0))) == 2


async def test_the_length_counts_from_the_restart_and_not_from_when_it_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SOON)))
    async with running(tmp_path) as daemon:
        daemon.store.turned += SOON
        assert await attempt(daemon.ask(claim("b", 0))) == 2


async def test_a_restart_shortens_no_lease(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        await daemon.do(RENEW)
        (before, _) = await leases(daemon)
    async with running(tmp_path) as daemon:
        (after, listed) = await leases(daemon)
        assert before is not None
        assert after is not None
        assert after == listed
        assert after.expires_at == max(before.expires_at, daemon.store.leases_since + LONG)


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
        await attempt(daemon.ask(claim("a", lease=SOON)))
        daemon.store.turned += LONG
    async with running(tmp_path) as daemon:
        b = daemon.ask(claim("b"))
        await daemon.settled()
        assert not b.done()
        daemon.store.turned += SOON
        assert await attempt(b) == 2
