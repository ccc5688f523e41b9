"""TLS, with a certificate made for the test."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.forked import run_forked
from tests.support.processes import environment

import lastgood
from lastgood.__main__ import main

TOKEN = "t"  # noqa: S105 - of daemons that live for a moment

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True, capture_output=True, cwd=folder, timeout=30,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def secured(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    tls = ("--tls-certificate", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
    folder = tmp_path_factory.mktemp("secured") / "data"
    daemon = DaemonProcess(folder, "--address", "localhost:0", *tls, environment={"LASTGOOD_TOKEN": TOKEN}, forked=True)
    yield daemon.start()
    assert daemon.stop() == 0


async def test_with_the_authority(secured: DaemonProcess, certificate: Path) -> None:
    async with lastgood.connect(secured.address, tls=certificate / "cert.pem", token=TOKEN, timeout=20.0) as client:
        assert await client.state("s").set("a", 1) == 1


@pytest.mark.parametrize("tls", [True, None])
async def test_without_it_there_is_no_connection(secured: DaemonProcess, tls: bool | None) -> None:
    says = "is not trusted here: connect with tls=CERTIFICATE" if tls else "connect with tls=True or tls=CERTIFICATE"
    with pytest.raises(lastgood.DaemonUnavailableError, match=says) as failure:
        await lastgood.connect(secured.address, tls=tls, token=TOKEN, timeout=2.0)
    assert "To start one" not in str(failure.value)


async def test_tls_to_a_daemon_without_it(tmp_path: Path, certificate: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", "--address", "localhost:0", forked=True).start()
    try:
        with pytest.raises(lastgood.DaemonUnavailableError, match="connect without tls=") as failure:
            await lastgood.connect(daemon.address, tls=certificate / "cert.pem", timeout=2.0)
        assert "To start one" not in str(failure.value)
    finally:
        daemon.close()


async def test_the_command_takes_it_from_the_environment(secured: DaemonProcess, certificate: Path) -> None:
    words = ["get", "s", "--address", secured.address, "--timeout", "20"]
    said = {"LASTGOOD_TOKEN": TOKEN, "LASTGOOD_TLS": str(certificate / "cert.pem")}
    async with lastgood.connect(secured.address, tls=certificate / "cert.pem", token=TOKEN, timeout=20.0) as client:
        await client.state("s").set("a", 1)
    done = run_forked(main, words, environment=environment(said))
    assert (done.returncode, done.stderr) == (0, "")
    for wrong, says in (("1", "is not trusted here"), (str(certificate / "none.pem"), "cannot be read")):
        done = run_forked(main, [*words, "--timeout", "2"], environment=environment({**said, "LASTGOOD_TLS": wrong}))
        assert done.returncode != 0
        assert says in done.stderr


def test_a_file_without_a_certificate_is_told_about(certificate: Path) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match=r"no certificate in .*key\.pem"):
        lastgood.connect("localhost:1", tls=certificate / "key.pem")


def test_authorities_that_cannot_be_read_are_told_about(tmp_path: Path) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match=r"none\.pem"):
        lastgood.connect("localhost:1", tls=tmp_path / "none.pem")
