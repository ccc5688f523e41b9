"""Generate the Python code of the contract from proto/lastgood_proto/v1/*.proto, in place.

The generated code is committed, so that a clone works at once and a change of the contract shows in review. The
generator is pinned in pyproject.toml (group `check`): code of a newer one refuses to run with older versions of grpcio
and protobuf.

    generate_proto.py               write the code
    generate_proto.py --check       say which files are not what would be written, and fail if there are any
    generate_proto.py --image FILE  write a descriptor set, which is what `buf lint` reads
"""

import argparse
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "proto"
PACKAGE = ROOT / "lastgood_proto" / "v1"


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate the Python code of the contract.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only compare, and fail if something is not current")
    mode.add_argument("--image", metavar="FILE", help="only write a descriptor set, for buf lint")
    arguments = parser.parse_args()

    if arguments.image:
        write_image(Path(arguments.image))
        return 0

    generated = generate()
    present = {path.name: path.read_bytes() for path in PACKAGE.glob("*_pb2*.py*")}
    stale = sorted(name for name in generated.keys() | present.keys() if generated.get(name) != present.get(name))
    if arguments.check:
        for name in stale:
            print(f"not current: {PACKAGE / name}", file=sys.stderr)
        if stale:
            print("The generated code does not belong to the .proto files. Run: make proto", file=sys.stderr)
        return 1 if stale else 0

    for name in stale:
        path = PACKAGE / name
        if name in generated:
            path.write_bytes(generated[name])
        else:
            path.unlink()
        print(f"{'wrote' if name in generated else 'removed'} {path}")
    return 0


def generate() -> dict[str, bytes]:
    """Generate everything, and return the content by file name."""
    plugins = Path(sysconfig.get_path("scripts"))
    with tempfile.TemporaryDirectory() as folder:
        protoc(
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            f"--mypy_out=quiet:{folder}",
            f"--mypy_grpc_out=quiet,only_async:{folder}",
        )
        made = Path(folder) / PACKAGE.relative_to(ROOT)
        return {path.name: path.read_bytes() for path in made.iterdir() if path.name not in empty_grpc_files()}


def empty_grpc_files() -> set[str]:
    """Name the *_pb2_grpc files that hold nothing, because their .proto file declares no service."""
    without = [path.stem for path in sources() if not re.search(r"^service\b", path.read_text(), re.MULTILINE)]
    return {f"{stem}_pb2_grpc.{suffix}" for stem in without for suffix in ("py", "pyi")}


def write_image(path: Path) -> None:
    """Write a descriptor set of the contract and of everything that it imports, comments included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={path}")


def protoc(*options: str) -> None:
    """Run protoc over all .proto files."""
    site_packages = sysconfig.get_path("purelib")  # googleapis-common-protos puts google/rpc/status.proto there
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", f"-I{site_packages}", *options]
    subprocess.run([*command, *map(str, sources())], check=True)


def sources() -> list[Path]:
    """List the .proto files, in a fixed order."""
    return sorted(PACKAGE.glob("*.proto"))


if __name__ == "__main__":
    sys.exit(main())
