"""The pytest plugin, as a user's tests see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lastgood
from lastgood.testing import ThrowAwayDaemon, throw_away_daemon

pytest_plugins = ["pytester"]

USERS_TESTS = """
    import lastgood, pytest

    async def change(client):
        assert await client.list_states() == []
        state = client.state("shared")
        snapshot = await state.snapshot()
        assert await state.set("a", 1) == 1
        await state.restore(snapshot)
        assert await state.to_dict() == {}

    async def test_one(lastgood_client):
        await change(lastgood_client)

    async def test_another_sees_nothing_of_it(lastgood_client, lastgood_daemon):
        assert (await lastgood_client.server_info()).address == lastgood_daemon.address
        await change(lastgood_client)
"""


@pytest.mark.slow
def test_each_test_has_a_daemon_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USERS_TESTS)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=2)


async def test_the_client_works_without_being_entered(
    lastgood_client: lastgood.Client, lastgood_daemon: ThrowAwayDaemon
) -> None:
    assert await lastgood_client.state("s").set("a", 1) == 1
    async with lastgood_daemon.connect(agent_id="second") as second:
        assert await second.state("s").get("a") == 1


def test_nothing_is_left_of_it() -> None:
    with throw_away_daemon() as daemon:
        assert daemon.data_dir.is_dir()
    assert not daemon.data_dir.parent.exists()
    assert not Path(f"/proc/{daemon.pid}").exists()


def test_a_daemon_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_IDLE_EXIT", "soon")
    assert os.environ["LASTGOOD_IDLE_EXIT"] == "soon"
    with pytest.raises(RuntimeError, match="LASTGOOD_IDLE_EXIT takes a number of seconds"), throw_away_daemon():
        pass


@pytest.mark.slow
def test_it_costs_nothing_where_it_is_not_used(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRPC_VERBOSITY", "GRPC_ENABLE_FORK_SUPPORT"):
        monkeypatch.delenv(name, raising=False)  # the daemon's package sets it, which other tests have imported
    pytester.makepyfile("""
        import os, sys

        def test_what_is_loaded():
            assert "lastgood_pytest" in sys.modules
            assert not [name for name in sys.modules if name.partition(".")[0] in {"lastgood", "lastgood_proto", "grpc"}]
            assert not [name for name in os.environ if name in {"GRPC_VERBOSITY", "GRPC_ENABLE_FORK_SUPPORT"}]
    """)
    pytester.makeini("[pytest]\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=1)


def test_importing_the_client_leaves_the_environment_alone() -> None:
    source = "import os; before = dict(os.environ); import lastgood, lastgood.sync; assert os.environ == before"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}

    done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
