"""What scripts/check_wheel.py reads out of a wheel. The check itself is ``make wheel-test``."""

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_wheel.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_wheel", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "check_wheel", module)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, *requirements: str) -> Path:
    path = folder / "lastgood-1-py3-none-any.whl"
    lines = ["Metadata-Version: 2.4", "Name: lastgood", *(f"Requires-Dist: {each}" for each in requirements)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lastgood-1.dist-info/METADATA", "\n".join([*lines, "", "Body"]))
    return path


def test_floors_of_what_is_needed_and_of_the_extras(script: ModuleType, tmp_path: Path) -> None:
    found = script.read_requirements(
        wheel(tmp_path, "grpcio>=1.76", "Zope_Interface>=2.10,<3; extra == 'daemon'", "lastgood[cli]; extra == 'daemon'")
    )
    assert [(each.name, each.floor, each.extra) for each in found] == [
        ("grpcio", "1.76", ""),
        ("zope-interface", "2.10", "daemon"),
    ]


@pytest.mark.parametrize("requirement", ["grpcio", "grpcio==1.76", "grpcio<2"])
def test_a_dependency_without_a_floor_is_refused(script: ModuleType, tmp_path: Path, requirement: str) -> None:
    with pytest.raises(script.CheckFailedError, match="has no floor"):
        script.read_requirements(wheel(tmp_path, requirement))
