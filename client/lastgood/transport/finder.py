"""Where the daemon listens at this moment."""

import asyncio
import errno
import importlib.util
import socket
from pathlib import Path

from lastgood.errors import DaemonUnavailableError
from lastgood.locate import SERVICE_MARKER, Endpoint, Location, read_endpoint
from lastgood.own_files import check_own_folder
from lastgood.transport.autostart import start_daemon
from lastgood.transport.link import LinkBrokenError
from lastgood_proto.system_errors import in_words

_PROBE_SECONDS = 1.0
_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR, errno.ENAMETOOLONG})


class Finder:
    """Finds a daemon, and starts that of a folder where it may."""

    def __init__(self, location: Location, *, autostart: bool) -> None:
        self._location = location
        self._autostart = autostart
        self._left_behind = ""

    def leave(self, endpoint: Endpoint) -> None:
        """Take what an endpoint says for left behind by a daemon that has gone: somebody else answers there."""
        self._left_behind = endpoint.secret

    async def find(self, *, met_before: bool) -> Endpoint:
        """Return where to connect to.

        Args:
            met_before: whether this client has been connected. Then a daemon that it cannot start may well be restarted
                by whoever started it.

        Raises:
            LinkBrokenError: none answers now; one may later.
            DaemonUnavailableError: none answers, and none will.
        """
        folder = self._location.folder
        if folder is None:
            return Endpoint(self._location.target)
        check_own_folder(folder)
        endpoint = await self._answering(folder)
        if endpoint is not None:
            return endpoint
        if not self._autostart:
            text = "no daemon answers, and starting one is turned off"
            raise LinkBrokenError(text)
        if _is_there(folder / SERVICE_MARKER):
            text = f"no daemon answers, and the folder belongs to a service ({SERVICE_MARKER}): start that"
            raise LinkBrokenError(text)
        if importlib.util.find_spec("lastgood_daemon") is None:
            text = (
                f"no daemon answers for {folder}, and the daemon is not installed here: pip install 'lastgood[daemon]', "
                f"or start one elsewhere with: {self._location.how_to_start}"
            )
            raise LinkBrokenError(text) if met_before else DaemonUnavailableError(text)
        return await start_daemon(folder, self._answering)

    async def _answering(self, folder: Path) -> Endpoint | None:
        endpoint = await answering(folder)
        return None if endpoint is not None and endpoint.secret == self._left_behind else endpoint


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        text = f"the folder of the daemon cannot be looked into: {in_words(error, path)}"
        raise DaemonUnavailableError(text) from error


async def answering(folder: Path) -> Endpoint | None:
    """Return the endpoint of the folder's daemon, if something takes connections there."""
    endpoint = read_endpoint(folder)
    if endpoint is None:
        return None
    local = endpoint.address.startswith("unix:")
    taken = _socket_answers(endpoint.address.removeprefix("unix:")) if local else await _port_answers(endpoint.address)
    return endpoint if taken else None


def _socket_answers(path: str) -> bool:
    # Connecting to a Unix socket never waits: it is taken, refused, or (with a full queue) told to come again.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            return probe.connect_ex(path) not in _NOBODY
        except OSError:  # a path too long for a socket
            return False


async def _port_answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
