"""Addresses at which something else than a lastgood daemon answers."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.processes import run_script

import lastgood

WEB_SERVER = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def port() -> Iterator[int]:
    """That of a web server."""
    server = subprocess.Popen(
        [sys.executable, "-c", WEB_SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.communicate()


async def test_a_web_server_is_no_daemon(port: int) -> None:
    with pytest.raises(lastgood.DaemonUnavailableError, match="what answers there is not a lastgood daemon") as failure:
        await lastgood.connect(f"127.0.0.1:{port}", timeout=2.0)
    assert "To start one" not in str(failure.value)


def test_nothing_but_the_error_is_said(port: int) -> None:
    source = "import sys; from lastgood.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = run_script(source, "states", "--address", f"127.0.0.1:{port}", "--timeout", "2")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
