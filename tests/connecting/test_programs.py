"""Programs of every kind start a daemon, or are told what to do: frozen, embedded, on trio, with modules elsewhere."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.support.daemons import DaemonProcess, autostarted_pid
from tests.support.processes import printed, run_script
from tests.support.waiting import wait_until

import lastgood
import lastgood_daemon
from lastgood import sync
from lastgood.transport import child
from lastgood.transport.child import clean_environment

CONNECT = """
    import lastgood.sync
    with lastgood.sync.connect(data_dir=FOLDER, timeout=30) as client:
        print(client.state("s").set("a", 1))
"""


def end_autostarted(folder: Path) -> None:
    pid = autostarted_pid(folder)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not (folder / "endpoint.json").exists())


def test_modules_that_code_has_put_on_the_path_are_found(folder: Path) -> None:
    """As in a PEX: an interpreter that has nothing installed, and a path of modules that the program makes."""
    roots = [entry for entry in sys.path if "site-packages" in entry or Path(entry, "lastgood_proto").is_dir()]
    roots += [str(Path(package.__file__ or "").parents[1]) for package in (lastgood, lastgood_daemon)]
    source = f"import sys; sys.path += {roots!r}; FOLDER = {str(folder)!r}\n" + textwrap.dedent(CONNECT)
    bare = [sys.base_exec_prefix + "/bin/python3", "-I", "-S", "-c", source]
    done = subprocess.run(bare, env={"PATH": "/bin"}, capture_output=True, check=False, text=True, timeout=40)
    assert done.stdout.strip() == "1", done.stderr
    end_autostarted(folder)


def test_what_lies_beside_the_program_does_not_replace_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "structlog.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) not in clean_environment({}).get("PYTHONPATH", "").split(":")


def test_the_libraries_of_the_interpreter_are_found() -> None:
    assert clean_environment({"LD_LIBRARY_PATH": "/opt/lib"})["LD_LIBRARY_PATH"] == "/opt/lib"


@pytest.mark.parametrize(
    ("frozen", "executable"),
    [(True, "/opt/agent"), (False, "/usr/bin/uwsgi"), (False, ""), (False, None), (False, "/nonexistent/python")],
)
async def test_a_program_that_is_no_interpreter_does_not_start_itself_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool, executable: str | None
) -> None:
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "exec_prefix", "/nowhere")
    with pytest.raises(lastgood.DaemonUnavailableError, match=f"lastgood serve --data-dir {folder}"):
        await lastgood.connect(data_dir=folder)
    assert not folder.exists()


def test_an_embedded_python_uses_the_interpreter_that_it_was_taken_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    assert Path(child.interpreter(folder)).samefile(shutil.which(Path(sys.exec_prefix, "bin", "python3")) or "")


# Where calls would wait forever.


@pytest.fixture
def green(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Let it look as if a library had replaced the threads of this process."""
    name: str = request.param
    if name == "gevent":
        module = ModuleType("gevent.monkey")
        module.is_module_patched = {"threading"}.__contains__  # type: ignore[attr-defined]
    else:
        module = ModuleType("eventlet.patcher")
        module.is_monkey_patched = {"thread"}.__contains__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return name


@pytest.mark.parametrize("green", ["gevent", "eventlet"], indirect=True)
async def test_green_threads_are_refused_before_any_io_by_the_async_client(folder: Path, green: str) -> None:
    with pytest.raises(lastgood.ClientUnusableError, match=rf"{green}.*thread=False") as caught:
        await lastgood.connect(data_dir=folder)
    assert caught.value.reason == "CLIENT_GREEN_THREADS"
    assert not folder.exists()


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_green_threads_are_refused_before_any_io_by_the_blocking_client(folder: Path, name: str) -> None:
    asked = {"gevent": ("gevent.monkey", "is_module_patched"), "eventlet": ("eventlet.patcher", "is_monkey_patched")}[name]
    source = f"""
        import sys, types
        import lastgood.sync
        module = types.ModuleType({asked[0]!r})
        module.{asked[1]} = lambda what: what in ("thread", "threading")
        sys.modules[{asked[0]!r}] = module
        try:
            lastgood.sync.connect(data_dir=sys.argv[1]).list_states()
        except RuntimeError as error:
            print(error.reason)
    """
    done = run_script(source, folder)
    assert done.stdout.strip() == "CLIENT_GREEN_THREADS", done.stderr
    assert not folder.exists()


def test_without_asyncio_the_async_client_says_that_it_needs_it(folder: Path) -> None:
    coroutine = lastgood.connect(data_dir=folder).__aenter__()
    with pytest.raises(lastgood.ClientUnusableError, match=r"needs asyncio, and no event loop runs") as caught:
        coroutine.send(None)  # as an event loop that is not asyncio's
    assert caught.value.reason == "CLIENT_WITHOUT_ASYNCIO"
    with pytest.raises(lastgood.ClientUnusableError, match="needs asyncio"):
        lastgood.SharedState("s").get("a").send(None)
    assert not folder.exists()


def test_on_trio_both_clients_say_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trio = SimpleNamespace(lowlevel=SimpleNamespace(current_task=object))
    monkeypatch.setitem(sys.modules, "trio", trio)
    with pytest.raises(lastgood.ClientUnusableError, match=r"trio runs in this thread.*trio.to_thread"):
        lastgood.connect(data_dir=folder).__aenter__().send(None)
    with pytest.raises(lastgood.ClientUnusableError, match=r"trio runs in this thread.*trio.to_thread"):
        sync.connect(data_dir=folder).list_states()
    assert not folder.exists()


# With the libraries themselves.


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"{library} is not installed")


@needs("gevent")
def test_gevent_is_refused_before_any_io(folder: Path) -> None:
    source = """
        import sys
        from gevent import monkey
        monkey.patch_all()
        import lastgood.sync
        try:
            lastgood.sync.connect(data_dir=sys.argv[1]).list_states()
        except RuntimeError as error:
            print(error.reason)
    """
    assert printed(source, folder) == ["CLIENT_GREEN_THREADS"]
    assert not folder.exists()


WITHOUT_GREEN_THREADS = """
    import sys
    from gevent import monkey
    monkey.patch_all(thread=False)
    import gevent
    import lastgood.sync
    try:
        with lastgood.sync.connect(data_dir=sys.argv[1], timeout=20) as client:
            jobs = [gevent.spawn(client.state("s").increment, "n") for _ in range(5)]
            gevent.joinall(jobs, timeout=20)
            print(*(job.value for job in jobs))
    except lastgood.DaemonUnavailableError as error:
        print(error)
"""


@needs("gevent")
def test_the_way_out_of_gevent_works(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    assert printed(WITHOUT_GREEN_THREADS, own_daemon.folder) == ["1 2 3 4 5"]
    (said,) = printed(WITHOUT_GREEN_THREADS, another := tmp_path / "another")
    assert said.endswith(f"Start it yourself: lastgood serve --data-dir {another}")
    assert not another.exists()


@needs("trio")
def test_trio_is_told_what_to_do_and_that_works(own_daemon: DaemonProcess) -> None:
    source = """
        import sys
        import trio
        import lastgood.sync

        def work():
            with lastgood.sync.connect(data_dir=sys.argv[1], timeout=20) as client:
                return client.state("s").increment("n")

        async def main():
            for call in (lastgood.connect(data_dir=sys.argv[1]).__aenter__, lastgood.SharedState("s").get):
                try:
                    await call()
                except RuntimeError as error:
                    print(error.reason, "trio.to_thread.run_sync" in str(error))
            try:
                lastgood.sync.connect(data_dir=sys.argv[1]).list_states()
            except RuntimeError as error:
                print(error.reason, "trio.to_thread.run_sync" in str(error))
            print(await trio.to_thread.run_sync(work))

        trio.run(main)
    """
    asynchronous = "CLIENT_WITHOUT_ASYNCIO True"
    assert printed(source, own_daemon.folder) == [asynchronous, asynchronous, "CLIENT_IN_EVENT_LOOP True", "1"]
