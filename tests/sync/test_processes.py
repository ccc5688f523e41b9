"""The blocking client in whole processes: Ctrl-C, forks, the end of the interpreter."""

from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import printed, run_script

STRICT = ("-W", "error", "-X", "dev")

INTERRUPT = """
    import os, signal, sys, threading, time
    from lastgood.sync import connect
    client = connect(data_dir=sys.argv[1], autostart=False, timeout=600)
    state = client.state("interrupted")
    state.set("a", 1)
    pid = int(sys.argv[2])

    def pending():
        return len(client._connection._inner._ledger)

    def until(predicate):
        end = time.monotonic() + 20
        while not predicate():
            assert time.monotonic() < end
            time.sleep(0.001)

    def interrupt():
        until(lambda: pending() == 1)
        os.kill(os.getpid(), signal.SIGINT)

    for call in (lambda: state.get("a"), lambda: state.set("a", 2), client.server_info):
        os.kill(pid, signal.SIGSTOP)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            call()
        except KeyboardInterrupt:
            until(lambda: pending() == 0)
            print("interrupted")
        finally:
            os.kill(pid, signal.SIGCONT)
        thread.join()
    print(state.set("b", 3) > 0, state.get("b"))
"""


def test_ctrl_c_cancels_the_call_and_the_client_goes_on(own_daemon: DaemonProcess) -> None:
    done = run_script(INTERRUPT, own_daemon.folder, own_daemon.process.pid, flags=STRICT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["interrupted"] * 3 + ["True 3"]


def test_ctrl_c_ends_a_script_that_waits(own_daemon: DaemonProcess) -> None:
    source = INTERRUPT.replace("except KeyboardInterrupt:", "except ZeroDivisionError:")
    done = run_script(source, own_daemon.folder, own_daemon.process.pid, flags=STRICT)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Traceback" in done.stderr
    assert "Exception ignored" not in done.stderr


FORK = """
    import os, sys, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # which newer Pythons say
    from lastgood import sync as lastgood
    client = lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20)
    state = client.state("s")
    fresh = client.state("t", initial_data={"a": 1})
    state.set("a", 1)
    lastgood.SharedState("s").get()
    child = os.fork()
    if child == 0:
        def attempt(what):
            try:
                what()
            except lastgood.ClientUnusableError as error:
                print(error.reason, "spawn" in str(error), flush=True)
        attempt(lambda: state.get("a"))
        attempt(lambda: fresh.set("a", 1))
        attempt(lambda: lastgood.SharedState().get())
        attempt(lambda: lastgood.connect(data_dir=sys.argv[1]))
        attempt(client.list_states)
        client.close()
        del client, state, fresh
        sys.exit(0)
    print(os.waitpid(child, 0)[1])
    print(state.get("a"))
    client.close()
"""


def test_a_forked_child_gets_a_clear_error_and_the_parent_goes_on(daemon: DaemonProcess) -> None:
    for flags in ((), STRICT):
        done = run_script(FORK, daemon.folder, flags=flags, changes={"LASTGOOD_DATA_DIR": str(daemon.folder)})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["CLIENT_FORKED True"] * 5 + ["0", "1"]


def test_a_child_that_was_forked_before_the_first_call_works(daemon: DaemonProcess) -> None:
    source = """
        import os, sys
        from lastgood.sync import connect
        client = connect(data_dir=sys.argv[1], autostart=False, timeout=20)
        child = os.fork()
        os.write(1, f"{client.server_info().data_dir}\\n".encode())  # in one piece: both write there
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert printed(source, daemon.folder) == [str(daemon.folder)] * 2


def test_a_child_gets_the_error_also_where_no_daemon_was_reached(folder: Path) -> None:
    source = """
        import os, sys
        import lastgood.sync as lastgood
        client = lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=0.1)
        try:
            client.list_states()
        except lastgood.DaemonUnavailableError:
            print("none", flush=True)
        child = os.fork()
        if child == 0:
            try:
                client.list_states()
            except lastgood.ClientUnusableError as error:
                print(error.reason, flush=True)
            sys.exit(0)
        print(os.waitpid(child, 0)[1])
    """
    assert printed(source, folder) == ["none", "CLIENT_FORKED", "0"]


def test_a_process_of_a_pool_that_was_forked_gets_the_error_too(daemon: DaemonProcess) -> None:
    source = """
        import multiprocessing, sys
        from lastgood.sync import connect, ClientUnusableError
        client = connect(data_dir=sys.argv[1], autostart=False, timeout=20)
        def work(number):
            try:
                client.state("s").get()
            except ClientUnusableError as error:
                return error.reason
        client.list_states()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(*pool.map(work, range(3)))
    """
    assert printed(source, daemon.folder) == ["CLIENT_FORKED CLIENT_FORKED CLIENT_FORKED"]


@pytest.mark.parametrize(
    "source",
    [
        # Nothing was called; something was; and closed.
        "import lastgood.sync as lastgood; lastgood.connect()",
        "import lastgood.sync as lastgood; lastgood.SharedState('s').set('a', 1)",
        "import lastgood.sync as lastgood; client = lastgood.connect(); client.list_states()",
        "import lastgood.sync as lastgood\nwith lastgood.connect() as client: client.list_states()",
        # The program's own last words, and its threads.
        """
        import atexit, lastgood.sync as lastgood
        state = lastgood.SharedState()
        atexit.register(lambda: state.set("last", "words"))
        state.set("a", 1)
        """,
        """
        import threading, lastgood.sync as lastgood
        state = lastgood.SharedState()
        state.set("a", 1)
        def work():
            threading.main_thread().join()
            state.set("a", 2)
        threading.Thread(target=work).start()
        """,
        # Daemon threads in the middle of calls end with the interpreter, silently.
        """
        import threading, lastgood.sync as lastgood
        state = lastgood.SharedState()
        first = threading.Semaphore(0)
        def count():
            while True:
                state.increment("n")
                first.release()
        for _ in range(4):
            threading.Thread(target=count, daemon=True).start()
        for _ in range(10):
            first.acquire()
        """,
    ],
)
@pytest.mark.parametrize("flags", [(), STRICT])
def test_the_interpreter_ends_without_a_word(daemon: DaemonProcess, source: str, flags: tuple[str, ...]) -> None:
    done = run_script(source, flags=flags, changes={"LASTGOOD_DATA_DIR": str(daemon.folder), "LASTGOOD_AUTOSTART": "0"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_after_the_end_it_says_so(daemon: DaemonProcess) -> None:
    source = """
        import atexit
        def after():
            for make in (lambda: state.get(), lambda: lastgood.SharedState().get()):
                try:
                    make()
                except lastgood.ClientUnusableError as error:
                    print(error)
            client.close()
        atexit.register(after)
        import lastgood.sync as lastgood
        client = lastgood.connect()
        state = client.state("s")
        state.get()
    """
    expected = "this client was closed: the interpreter is ending"
    assert printed(source, changes={"LASTGOOD_DATA_DIR": str(daemon.folder)}) == [expected] * 2


def test_a_daemon_that_does_not_answer_holds_nothing_up(own_daemon: DaemonProcess) -> None:
    source = """
        import os, signal, sys, threading
        from lastgood.sync import connect
        client = connect(data_dir=sys.argv[1], autostart=False, timeout=600)
        client.list_states()
        os.kill(int(sys.argv[2]), signal.SIGSTOP)
        threading.Thread(target=client.list_states, daemon=True).start()
        while not len(client._connection._inner._ledger):
            pass
    """
    done = run_script(source, own_daemon.folder, own_daemon.process.pid, flags=STRICT)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_needs_no_daemon_to_be_imported() -> None:
    source = """
        import sys, threading
        import lastgood.sync
        assert threading.active_count() == 1
        print([name for name in sys.modules if name.startswith("lastgood_daemon")])
    """
    assert printed(source) == ["[]"]


def test_a_script_starts_a_daemon_and_another_one_finds_it(folder: Path) -> None:
    source = "import sys, lastgood.sync as l; print(l.connect(data_dir=sys.argv[1], timeout=30).state('s').increment('n'))"
    assert [printed(source, folder) for _ in range(2)] == [["1"], ["2"]]
