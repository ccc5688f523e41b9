"""Folders and addresses as a person writes them, read alike by client and daemon.

An empty variable counts as not set. ``~`` is a home folder: in a variable or a TOML file no shell expands it. A relative
path begins at the working folder of the process that reads it. A relative ``XDG_*`` folder is ignored, as the
specification of these folders says.
"""

import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

MAX_FOLDER_BYTES = 492
"""Of the path of a data folder: SQLite takes 512 bytes, and ``/lastgood.db-journal`` has to fit."""

MAX_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""Of the path of a Unix socket: ``sun_path`` without its final zero."""


class PlaceError(ValueError):
    """A path or an address cannot be used; the message says why and what to do."""


def absolute_path(path: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a path as seen from the root, ``~`` expanded.

    Raises:
        PlaceError: it is empty, is not UTF-8, contains a zero byte, or nothing says where it begins.
    """
    if not path:
        message = "the path is empty"
        raise PlaceError(message)
    if "\0" in path:
        message = f"the path {path!r} contains a zero byte"
        raise PlaceError(message)
    try:
        path.encode()
    except UnicodeEncodeError:
        message = f"the path {path!r} is not UTF-8; rename the folder, or name another one"
        raise PlaceError(message) from None
    begin, separator, rest = path.partition("/")
    expanded = Path(f"{_home_of(begin[1:], environment)}{separator}{rest}") if begin.startswith("~") else Path(path)
    try:
        return expanded.absolute()
    except FileNotFoundError:
        message = f"the path {path!r} is relative, and the working folder has been removed; name it from the root"
        raise PlaceError(message) from None


def data_folder(path: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a data folder as seen from the root, links followed, so that one folder has one name.

    Raises:
        PlaceError: it cannot be one, whatever is there.
    """
    folder = Path(os.path.realpath(absolute_path(path, environment)))
    size = len(os.fsencode(folder))
    if size > MAX_FOLDER_BYTES:
        message = f"the path of a data folder must have at most {MAX_FOLDER_BYTES} bytes, got {size}: {str(folder)[:60]!r}…"
        raise PlaceError(message)
    return folder


def default_data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return ``$XDG_STATE_HOME/lastgood``, normally ``~/.local/state/lastgood``.

    Raises:
        PlaceError: this user has no home folder.
    """
    return data_folder(str(_base(environment, "XDG_STATE_HOME", ".local/state") / "lastgood"), environment)


def default_config_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return ``$XDG_CONFIG_HOME/lastgood/lastgood.toml``, normally in ``~/.config``; None without a home folder."""
    try:
        return _base(environment, "XDG_CONFIG_HOME", ".config") / "lastgood" / "lastgood.toml"
    except PlaceError:
        return None


def socket_path(address: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path in an address such as ``unix:/path``, ``unix:///path``, ``unix:~/path`` or ``unix:path``.

    Raises:
        PlaceError: no socket can be there.
    """
    path = absolute_path(address.removeprefix("unix:").removeprefix("//"), environment)
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_BYTES:
        message = f"the path of a Unix socket must have at most {MAX_SOCKET_BYTES} bytes, got {size}: {str(path)[:60]!r}…"
        raise PlaceError(message)
    return path


def _base(environment: Mapping[str, str], variable: str, default: str) -> Path:
    named = environment.get(variable, "")
    return Path(named) if named.startswith("/") else _home_of("", environment) / default


def _home_of(name: str, environment: Mapping[str, str]) -> Path:
    """Return the home folder of a user; of this one where the name is empty."""
    if name:
        try:
            return Path(pwd.getpwnam(name).pw_dir)
        except KeyError:
            message = f"'~{name}' is the home folder of user {name!r}, and there is no such user; './~{name}' is a path"
            raise PlaceError(message) from None
    named = environment.get("HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        message = (
            f"user {os.getuid()} has no home folder (neither HOME nor the list of users names one): "
            "name the data folder, or set HOME or XDG_STATE_HOME"
        )
        raise PlaceError(message) from None
