"""Configuration: flags, then ``LASTGOOD_*``, then a TOML file, then what stands here.

The file is ``lastgood.toml`` in ``$XDG_CONFIG_HOME/lastgood`` (normally ``~/.config/lastgood``), or what ``LASTGOOD_CONFIG``
names. Its keys are the names below. A daemon that a client has started takes from the file only what is meant for any daemon
of this user: ``memory``, ``idle_exit`` and ``housekeeping_interval``.

A library for settings would take a quarter of the time in which a daemon starts, while a client waits for it.
"""

import argparse
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn, get_args

import msgspec
from msgspec import Meta

from lastgood_daemon.authority.memory import BUDGET
from lastgood_daemon.process.address import problem_with
from lastgood_proto import places
from lastgood_proto.sizes import size_of
from lastgood_proto.system_errors import in_words
from lastgood_proto.texts import problem_with_token

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_OF_ONE_DAEMON = frozenset({"data_dir", "address", "token", "tls_certificate", "tls_key", "backup_dir", "autostarted"})
"""What in the file is about the daemon that a person runs, and would keep clients from those that they start."""

_SECONDS = {"value": "SECONDS", "takes": "a number of seconds above 0"}


class _Said(NamedTuple):
    """What one of the sources says about a setting."""

    value: Any
    where: str
    """What a person has to change."""


class ConfigurationError(ValueError):
    """What is configured is wrong; says in one line what is."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs the daemon in the foreground until SIGTERM. For example `lastgood serve --data-dir ~/agents`."""

    data_dir: Annotated[
        Path, Meta(description="the folder that the daemon owns", extra={"value": "DIR", "takes": "a path"})
    ] = msgspec.field(default_factory=places.default_data_folder)
    address: Annotated[str | None, Meta(description="unix:/path or host:port; normally a socket in the data folder")] = None
    token: Annotated[str | None, Meta(description="what clients must present; best set by LASTGOOD_TOKEN")] = None
    tls_certificate: Annotated[
        Path | None, Meta(description="PEM file, for an address on the network", extra={"value": "FILE", "takes": "a path"})
    ] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file", extra={"value": "FILE", "takes": "a path"})] = None
    backup_dir: Annotated[
        Path | None,
        Meta(
            description="the folder below which clients on the network may have backups made",
            extra={"value": "DIR", "takes": "a path"},
        ),
    ] = None
    memory: Annotated[
        int,
        Meta(
            ge=0,
            description="bytes of states to keep in memory; others are read again when they are asked for",
            extra={"value": "SIZE", "takes": "a number of bytes, or a size such as 512MB or 1GiB"},
        ),
    ] = BUDGET
    idle_exit: Annotated[
        float,
        Meta(gt=0, description="seconds without clients after which an autostarted daemon ends", extra=_SECONDS),
    ] = 60.0
    housekeeping_interval: Annotated[
        float,
        Meta(
            gt=0,
            description="seconds between rounds of housekeeping, which apply the retention policies",
            extra=_SECONDS,
        ),
    ] = 600.0
    autostarted: Annotated[
        bool, Meta(description="set by the client that starts the daemon", extra={"takes": "true or false"})
    ] = False

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls-certificate and tls-key go together"
            raise ValueError(message)
        if self.token is not None and (problem := problem_with_token(self.token)):
            message = f"token {problem}; name another, or leave it out"
            raise ValueError(message)
        if self.address is not None and (problem := problem_with(self.address)):
            raise ValueError(problem)
        if self.address is not None and not self.address.startswith("unix:"):
            host = self.address.rpartition(":")[0].strip("[]")
            if self.tls_certificate is None and host not in _LOOPBACK:
                message = f"address {self.address} is on the network; give tls-certificate and tls-key, or a loopback one"
                raise ValueError(message)
            if self.token is None and host not in _LOOPBACK:
                message = f"address {self.address} is on the network; set LASTGOOD_TOKEN, which clients must present"
                raise ValueError(message)


def configured(argv: Sequence[str]) -> Config:
    """Put together what these flags, the environment and the file say.

    Raises:
        ConfigurationError: something there is wrong.
    """
    flags = vars(_flags().parse_args(argv))
    given = {name: _Said(value, f"--{name.replace('_', '-')}") for name, value in flags.items()}
    said = {**_of_file(autostarted="autostarted" in flags), **_of_environment(), **given}
    try:
        return msgspec.convert(_read(said), Config, strict=False, dec_hook=_path)
    except places.PlaceError as error:  # where there is no default folder
        message = f"--data-dir: {error}"
        raise ConfigurationError(message) from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(_plain(str(error), said)) from error


def _read(said: Mapping[str, _Said]) -> dict[str, Any]:
    """Return the settings with their paths as seen from the root, and their sizes in bytes."""
    found: dict[str, Any] = {}
    for name, (value, where) in said.items():
        try:
            found[name] = _READ[name](value) if name in _READ and isinstance(value, str) else value
        except places.PlaceError as error:
            message = f"{where}: {error}"
            raise ConfigurationError(message) from error
    return found


def _address(text: str) -> str:
    is_socket = text.startswith("unix:") and text not in {"unix:", "unix://"}
    return f"unix:{places.socket_path(text)}" if is_socket else text  # what is neither is refused by Config


def _size(text: str) -> int | str:
    found = size_of(text)
    return text if found is None else found  # what is none is refused by Config


_READ: dict[str, Callable[[str], object]] = {
    "data_dir": places.data_folder,
    "address": _address,
    "tls_certificate": places.absolute_path,
    "tls_key": places.absolute_path,
    "backup_dir": places.absolute_path,
    "memory": _size,
}
"""How settings that name a place, or a size, are read."""


def _plain(problem: str, said: Mapping[str, _Said]) -> str:
    """Say what a setting takes and what it was given, and where; what concerns several says so itself."""
    what, _, name = problem.partition(" - at `$.")
    name = name.rstrip("`")
    if not name:
        return what
    takes = next((meta.extra or {}).get("takes", "text") for field, meta in _settings() if field.name == name)
    got = "" if name == "token" else f", got {said[name].value!r}"
    return f"{said[name].where} takes {takes}{got}"


def _settings() -> list[tuple[msgspec.structs.FieldInfo, Meta]]:
    return [(field, get_args(field.type)[1]) for field in msgspec.structs.fields(Config)]


class _Flags(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message)


def _flags() -> argparse.ArgumentParser:
    """Make what takes flags apart. Their values remain text, as in the environment; those not given are left out."""
    parser = _Flags("lastgood serve", description=Config.__doc__, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for field, meta in _settings():
        flag = f"--{field.name.replace('_', '-')}"
        if field.default is False:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=meta.description)
        else:
            said = "" if field.default in (None, msgspec.NODEFAULT) else f" (default: {field.default})"
            metavar = (meta.extra or {}).get("value", field.name.upper())
            parser.add_argument(flag, metavar=metavar, help=f"{meta.description}{said}")
    return parser


def _of_environment() -> dict[str, _Said]:
    variables = {name: f"LASTGOOD_{name.upper()}" for name in Config.__struct_fields__}
    found = {name: _Said(os.environ.get(variable), variable) for name, variable in variables.items()}
    return {name: said for name, said in found.items() if said.value}  # an empty variable counts as not set


def _of_file(*, autostarted: bool) -> dict[str, _Said]:
    path = _file()
    if path is None:
        return {}
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is no TOML: {error}"
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is no text in UTF-8: byte {error.start + 1} is not"
        raise ConfigurationError(message) from error
    except OSError as error:
        raise ConfigurationError(in_words(error, path)) from error
    if unknown := [name for name in said if name not in Config.__struct_fields__]:
        message = f"{path}: there is no setting {unknown[0]!r}. There are {', '.join(Config.__struct_fields__)}"
        raise ConfigurationError(message)
    meant = [name for name in said if not (autostarted and name in _OF_ONE_DAEMON)]
    return {name: _Said(said[name], f"{path}: {name}") for name in meant}


def _file() -> Path | None:
    """Return the TOML file; None where there is none, also where the home folder may not be looked into."""
    named = os.environ.get("LASTGOOD_CONFIG")
    try:
        path = places.absolute_path(named) if named else places.default_config_file()
        found = path is not None and path.is_file()
    except places.PlaceError as error:
        message = f"LASTGOOD_CONFIG: {error}"
        raise ConfigurationError(message) from error
    except OSError:
        found = False
    if named and not found:
        message = f"LASTGOOD_CONFIG names {named}, which is not a file, or not one that this user may read"
        raise ConfigurationError(message)
    return path if found else None


def _path(kind: type, value: object) -> Path:
    """Take a path, the one kind here that msgspec does not know; ``_with_places`` has made it of text."""
    if kind is not Path or not isinstance(value, Path):
        message = f"Expected a path, got {value!r}"
        raise ValueError(message)
    return value
