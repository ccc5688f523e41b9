"""What a process that a client starts needs of this one: its interpreter, its modules and its settings."""

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lastgood.errors import DaemonUnavailableError
from lastgood_proto import places

_KEPT = frozenset({
    "PATH", "HOME", "LANG", "TMPDIR", "TZ", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",  # the interpreter itself may need it
})  # fmt: skip
_KEPT_PREFIXES = ("LC_", "XDG_", "LASTGOOD_")
_DROPPED = frozenset({
    "LASTGOOD_ADDRESS", "LASTGOOD_DATA_DIR", "LASTGOOD_AUTOSTART", "LASTGOOD_BACKUP_DIR", "LASTGOOD_TLS_CERTIFICATE",
    "LASTGOOD_TLS_KEY",
})  # fmt: skip
"""What is about the one daemon that a person runs."""

_PYTHONS = ("python", "pypy")
_NEEDED = (
    "lastgood_daemon", "lastgood_proto", "anyio", "apsw", "google.protobuf", "google.rpc", "grpc", "grpc_health",
    "grpc_reflection", "idna", "immutables", "msgpack", "msgspec", "sniffio", "structlog", "typing_extensions", "zstandard",
)  # fmt: skip
"""What the daemon imports, and what that imports."""


def interpreter(folder: Path) -> str:
    """Return the Python that runs this program, to run the daemon of a folder with.

    Raises:
        DaemonUnavailableError: there is none: a frozen program is its own interpreter, and would start itself again.
    """
    if not getattr(sys, "frozen", False):
        named = Path(sys.executable or "")  # embedded, it may be None
        if named.name.lower().startswith(_PYTHONS) and named.exists():
            return str(named)
        # A program that has Python in it, such as uwsgi. Where it was taken from there is an interpreter, too.
        for name in (f"python{sys.version_info.major}.{sys.version_info.minor}", "python3"):
            beside = Path(sys.exec_prefix, "bin", name)
            if beside.exists():
                return str(beside)
    what = f"{sys.executable} is no Python interpreter" if sys.executable else "nothing says where its interpreter is"
    text = (
        f"this program cannot start a daemon: {what} (a frozen or embedded Python). Install lastgood beside it "
        f"(pip install 'lastgood[daemon]'), and start one with: lastgood serve --data-dir {folder}"
    )
    raise DaemonUnavailableError(text)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a daemon gets of a client's environment: where things are and its own settings, and nothing else."""
    kept = {
        name: value
        for name, value in environment.items()
        if value and (name in _KEPT or name.startswith(_KEPT_PREFIXES)) and name not in _DROPPED
    }
    if "LASTGOOD_CONFIG" in kept:  # the daemon has another working folder
        try:
            kept["LASTGOOD_CONFIG"] = str(places.absolute_path(kept["LASTGOOD_CONFIG"], environment))
        except places.PlaceError as error:
            text = f"LASTGOOD_CONFIG: {error}"
            raise DaemonUnavailableError(text) from None
    roots = list(_roots(environment))
    if roots:
        kept["PYTHONPATH"] = os.pathsep.join(roots)
    return kept


def _roots(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what the path of modules is to begin with: as ``PYTHONPATH`` says, then what code has put on the path.

    Where modules of the daemon lie outside the installed ones, all their folders are named in the order of this process, so
    that the daemon finds the same ones first.
    """
    given = [os.path.realpath(entry) for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    yield from given
    installed = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    found = {root for name in _NEEDED if (root := _root_of(name, installed)) is not None}
    if found <= {*installed, *given}:
        return
    on_path = [os.path.realpath(entry) for entry in sys.path if entry]
    ordered = [root for root in dict.fromkeys(on_path) if root in found]
    yield from (root for root in (*ordered, *sorted(found.difference(on_path))) if root not in given)


def _root_of(name: str, installed: Iterable[str]) -> str | None:
    """Return the folder, or the archive, from which the daemon has to import a module.

    What is installed is not taken from elsewhere, such as the folder of the program, where a module may share only the name.
    """
    if not name.startswith("lastgood"):
        for folder in installed:
            place = Path(folder, *name.split("."))
            if place.is_dir() or place.with_suffix(".py").is_file():
                return folder
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # its parent is missing, or something else goes by its name
        return None
    if spec is None:
        return None
    # A package lies in the folder of its name, a module of one file in a file of its name: each a step up.
    inside = next(iter(spec.submodule_search_locations or ()), spec.origin)
    return None if inside is None else os.path.realpath(Path(inside).parents[name.count(".")])
