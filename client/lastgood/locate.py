"""Which daemon: an address, or the folder that it owns. The only I/O is reading where a daemon says that it is."""

import ipaddress
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lastgood.errors import DaemonUnavailableError, InvalidArgumentError
from lastgood.own_files import read_own
from lastgood_proto import places

ENDPOINT_FILE = "endpoint.json"
SERVICE_MARKER = "managed-by-service"
"""A folder that contains a file of this name belongs to a service: only that starts its daemon."""

_NO = frozenset({"0", "false", "no", "off"})
_YES = frozenset({"1", "true", "yes", "on"})
_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Location:
    """Where the daemon of a client is to be found.

    Attributes:
        target: an absolute folder, ``unix:/path`` or ``host:port``.
    """

    target: str

    @property
    def folder(self) -> Path | None:
        """The folder whose daemon it is; None where an address was given."""
        return Path(self.target) if self.target.startswith("/") else None

    @property
    def how_to_start(self) -> str:
        """What a person types to have a daemon there."""
        if self.target.startswith("/"):
            return f"lastgood serve --data-dir {shlex.quote(self.target)}"
        return f"lastgood serve --data-dir DIR --address {shlex.quote(self.target)}"

    def __str__(self) -> str:
        """For messages."""
        return self.target


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a daemon says about itself in the folder that it owns.

    Attributes:
        address: where it listens.
        pid: its process.
        daemon_id: of its store.
        version: of its package.
        autostarted: whether a client started it.
        secret: by which it shows that it wrote this; empty where it is not known who should answer.
    """

    address: str
    pid: int = 0
    daemon_id: str = ""
    version: str = ""
    autostarted: bool = False
    secret: str = field(default="", repr=False)


def locate(
    address: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Location:
    """Find out which daemon is meant.

    The first that applies: ``address``, ``data_dir``, ``LASTGOOD_ADDRESS``, ``LASTGOOD_DATA_DIR``, the default folder.

    Raises:
        InvalidArgumentError: what was given is no address, or no path, or both were given.
    """
    if address is not None and data_dir is not None:
        text = f"address={address!r} and data_dir={os.fspath(data_dir)!r} each name a daemon: give one of them"
        raise InvalidArgumentError(text, field="data_dir")
    if address is not None:
        return Location(check_address(address))
    if data_dir is not None:
        return Location(absolute_folder(data_dir, environment))
    if named := environment.get("LASTGOOD_ADDRESS"):
        return Location(check_address(named, environment))
    if named := environment.get("LASTGOOD_DATA_DIR"):
        return Location(absolute_folder(named, environment))
    try:
        return Location(str(places.default_data_folder(environment)))
    except places.PlaceError as error:
        text = f"there is no default data folder: {error}"
        raise InvalidArgumentError(text, field="data_dir") from None


def locate_again(target: str) -> Location:
    """The location of a target that another one has had, as in ``Snapshot.address``."""
    return Location(absolute_folder(target) if target.startswith("/") else check_address(target))


def absolute_folder(data_dir: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> str:
    """Return the folder as an absolute path, ``~`` expanded and links followed, so that one folder has one name.

    Raises:
        InvalidArgumentError: it is no path of a folder, or of none that could be used.
    """
    path = data_dir if isinstance(data_dir, str) or not isinstance(data_dir, os.PathLike) else os.fspath(data_dir)
    if not isinstance(path, str) or not path:
        text = f"data_dir must be the path of a folder, got {data_dir!r}"
        raise InvalidArgumentError(text, field="data_dir")
    try:
        return str(places.data_folder(path, environment))
    except places.PlaceError as error:
        text = f"data_dir: {error}"
        raise InvalidArgumentError(text, field="data_dir") from None


def check_address(address: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return an address in its one spelling: ``unix:/absolute/path`` or ``host:port``.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if isinstance(address, str):
        kind, _, rest = address.partition(":")
        if kind == "unix":
            if rest.removeprefix("//"):
                try:
                    return f"unix:{places.socket_path(address, environment)}"
                except places.PlaceError as error:
                    text = f"address: {error}"
                    raise InvalidArgumentError(text, field="address") from None
        else:
            host, _, port = address.rpartition(":")
            bare = host.removeprefix("[").removesuffix("]")
            if host and "/" not in host and _is_port(port) and (":" not in bare or host != bare):
                return address
    text = f"an address is 'unix:/path' or 'host:port', not {address!r}"
    raise InvalidArgumentError(text, field="address")


def is_on_this_machine(address: str) -> bool:
    """Whether an address is a Unix socket or a loopback one. Names other than localhost may resolve to anything."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _PORT_MAX


def may_autostart(*, autostart: bool | None = None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a folder's daemon may be started: as the caller says, or as ``LASTGOOD_AUTOSTART`` says, or yes.

    Raises:
        InvalidArgumentError: the variable says something else than yes or no.
    """
    if autostart is not None:
        return autostart
    said = environment.get("LASTGOOD_AUTOSTART", "").lower()
    if said and said not in _NO | _YES:
        text = f"LASTGOOD_AUTOSTART is {said!r}: 0 forbids that a daemon is started, and 1 allows it"
        raise InvalidArgumentError(text, field="autostart")
    return said not in _NO


def read_endpoint(folder: Path) -> Endpoint | None:
    """Return where the folder's daemon says that it listens; None where none says so. It may be gone since.

    What was written in another folder is not said of this one: in a copied folder, it would lead to the original's daemon.

    Raises:
        DaemonUnavailableError: this user may not look, or what is there is not to be trusted.
    """
    try:
        content = json.loads(read_own(folder / ENDPOINT_FILE))
        place = folder.stat()
        if (content["device"], content["inode"]) != (place.st_dev, place.st_ino):
            return None
        return Endpoint(
            address=check_address(content["address"]),
            pid=int(content["pid"]),
            daemon_id=str(content["daemon_id"]),
            version=str(content["version"]),
            autostarted=bool(content["autostarted"]),
            secret=str(content["secret"]),
        )
    except DaemonUnavailableError:
        raise
    except PermissionError as error:
        text = (
            f"{folder} may not be looked into by user {os.geteuid()}, so whether a daemon runs there is not known. Do this "
            "as the owner of the folder, or name the address of its daemon"
        )
        raise DaemonUnavailableError(text) from error
    except (OSError, ValueError, KeyError, TypeError):
        return None
