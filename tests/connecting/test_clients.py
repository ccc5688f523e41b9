"""Clients in their process: with and without ``async with``, default ones, event loops, threads, forks."""

import asyncio
import threading
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import printed, run_script
from tests.support.waiting import until

import lastgood


def connections(daemon: DaemonProcess) -> int:
    """How many are connected to a daemon's socket."""
    path = daemon.address.removeprefix("unix:")
    lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return sum(1 for fields in lines if fields[-1] == path and fields[5] == "03")


# Connecting without async with.


async def test_await_connects_and_aclose_ends_it(own_daemon: DaemonProcess) -> None:
    client = await lastgood.connect(own_daemon.address)
    assert connections(own_daemon) == 1
    assert await client.state("s").set("a", 1) == 1
    await client.aclose()
    await until(lambda: connections(own_daemon) == 0)


async def test_closing_again_does_nothing_and_a_closed_client_says_so(own_daemon: DaemonProcess) -> None:
    client = await lastgood.connect(own_daemon.address)
    state = client.state("s")
    await client.aclose()
    await client.aclose()
    for call in (state.get, state.revision, client.list_states):
        with pytest.raises(lastgood.ClientUnusableError, match="closed") as failure:
            await call()
        assert failure.value.reason == "CLIENT_CLOSED"
        assert isinstance(failure.value, RuntimeError)
    with pytest.raises(lastgood.ClientUnusableError, match="closed"):
        await client


async def test_connect_alone_does_nothing_until_the_first_call(own_daemon: DaemonProcess) -> None:
    await until(lambda: connections(own_daemon) == 0)  # the fixture has looked whether it answers
    client = lastgood.connect(own_daemon.address)
    await until(lambda: connections(own_daemon) == 0)  # one that the fixture made may be seen late
    assert await client.list_states() == []
    assert connections(own_daemon) == 1
    await client.aclose()


async def test_connecting_and_failing_leaves_nothing_behind(tmp_path: Path) -> None:
    client = lastgood.connect(data_dir=tmp_path / "nobody", autostart=False, timeout=0.2)
    with pytest.raises(lastgood.DaemonUnavailableError):
        async with client:
            pytest.fail("it has no daemon")
    assert [task.get_name() for task in asyncio.all_tasks()] == [asyncio.current_task().get_name()]  # type: ignore[union-attr]


async def test_an_exception_in_the_block_goes_on_and_closes_the_client(own_daemon: DaemonProcess) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lastgood.connect(own_daemon.address) as client:
            raise ZeroDivisionError
    with pytest.raises(lastgood.ClientUnusableError):
        await client.list_states()


async def test_a_cancelled_call_leaves_the_client_in_order(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        state = client.state("s")
        for _ in range(50):
            call = asyncio.create_task(state.increment("n"))
            await asyncio.sleep(0)  # it is under way
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        before = await state.get("n", 0)
        assert await state.increment("n") == before + 1


# The default client.

DEFAULT = """
    import asyncio, gc, lastgood
    async def main(key):
        asyncio.get_running_loop().slow_callback_duration = 60  # what a busy machine makes slow is no warning of ours
        first, second = lastgood.SharedState("s"), lastgood.SharedState("s")
        await first.set(key, 1)
        print(sorted(await second.to_dict()))
        manager = lastgood.CheckpointManager()
        await manager.create_checkpoint("w", 1, "a", lastgood.AgentStatus.COMPLETED, first)
        print((await lastgood.CheckpointManager().get_latest_checkpoint("w")).step)
    for key in "ab":
        asyncio.run(main(key))
        gc.collect()
"""


def test_default_clients_work_in_every_loop_and_end_without_a_warning(daemon: DaemonProcess) -> None:
    variables = {"LASTGOOD_DATA_DIR": str(daemon.folder), "PYTHONASYNCIODEBUG": "1"}
    for flags in ((), ("-W", "error", "-X", "dev")):
        done = run_script(DEFAULT, flags=flags, changes=variables)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.split("\n")[-5:] == ["['a']", "1", "['a', 'b']", "1", ""] or flags


def test_a_loop_that_ends_in_the_middle_of_everything_gives_no_warning(daemon: DaemonProcess) -> None:
    source = """
        import asyncio, lastgood
        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60  # what a busy machine makes slow is no warning of ours
            client = await lastgood.connect()
            states = [lastgood.SharedState(), client.state("other")]
            tasks = [asyncio.create_task(state.increment("n")) for state in states for _ in range(100)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        asyncio.run(main())
    """
    done = run_script(source, flags=("-W", "error", "-X", "dev"), changes={"LASTGOOD_DATA_DIR": str(daemon.folder)})
    assert (done.returncode, done.stderr) == (0, "")


async def test_there_is_one_default_client_a_loop(own_daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(own_daemon.folder))
    states = [lastgood.SharedState(f"s{index}") for index in range(5)]
    for state in states:
        await state.set("a", 1)
    await lastgood.CheckpointManager().list_checkpoints("w")
    assert connections(own_daemon) == 1

    def elsewhere() -> int:
        async def use() -> int:
            await lastgood.SharedState("s0").set("a", 2)
            return connections(own_daemon)

        return asyncio.run(use())

    assert await asyncio.to_thread(elsewhere) == 2
    await until(lambda: connections(own_daemon) == 1)


async def test_states_without_an_id_are_new_ones(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(daemon.folder))
    states = [lastgood.SharedState() for _ in range(3)]
    assert len({state.state_id for state in states}) == 3
    assert [await state.set("a", 1) for state in states] == [1, 1, 1]


# Loops and threads.


def test_loops_one_after_the_other_and_side_by_side(daemon: DaemonProcess, state_id: str) -> None:
    together = threading.Barrier(2)

    async def count() -> None:
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0) as client:
            await asyncio.to_thread(together.wait, 30)
            await asyncio.gather(*(client.state(state_id).increment("n") for _ in range(200)))

    async def total() -> object:
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0) as client:
            return await client.state(state_id).get("n")

    threads = [threading.Thread(target=asyncio.run, args=[count()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert asyncio.run(total()) == 400


def test_a_client_of_another_loop_says_so(daemon: DaemonProcess) -> None:
    client = lastgood.connect(daemon.address)

    async def use() -> None:
        await client.list_states()

    async def close() -> None:
        await client.aclose()

    with asyncio.Runner() as runner:
        runner.run(use())
        with pytest.raises(lastgood.ClientUnusableError, match="event loop") as failure:
            asyncio.run(use())
        assert failure.value.reason == "CLIENT_OTHER_LOOP"
        runner.run(use())
        runner.run(close())


# Forks.

FORK = """
    import asyncio, os, sys, lastgood
    async def main():
        client = await lastgood.connect(data_dir=sys.argv[1], autostart=False)
        state = client.state("s")
        child = os.fork()
        if child == 0:
            async def attempt(what):
                try:
                    await what()
                except lastgood.ClientUnusableError as error:
                    print(error.reason, "spawn" in str(error), flush=True)
                except BaseException as error:
                    print(repr(error), flush=True)
            await attempt(lambda: state.get("a", timeout=5))
            await attempt(lambda: state.set("a", 1, timeout=5))
            await attempt(lambda: lastgood.SharedState().get(timeout=5))
            await attempt(lambda: lastgood.connect(data_dir=sys.argv[1], timeout=5).list_states())
            await attempt(lambda: client.__aenter__())
            await client.aclose()
            asyncio.run(attempt(lambda: lastgood.SharedState().get(timeout=5)))
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        print(await client.server_info() is not None)
        await client.aclose()
    asyncio.run(main())
"""


def test_a_forked_child_gets_a_clear_error_and_the_parent_goes_on(daemon: DaemonProcess) -> None:
    assert printed(FORK, daemon.folder) == ["CLIENT_FORKED True"] * 6 + ["0", "True"]


def test_a_child_that_was_forked_before_the_first_connection_works(daemon: DaemonProcess) -> None:
    source = """
        import asyncio, os, sys, lastgood
        async def main():
            async with lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20) as client:
                os.write(1, f"{(await client.server_info()).data_dir}\\n".encode())  # in one piece: both write to it
        child = os.fork()
        asyncio.run(main())
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert printed(source, daemon.folder) == [str(daemon.folder)] * 2
