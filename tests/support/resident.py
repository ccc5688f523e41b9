"""How much memory a process has, as the system counts it."""

from pathlib import Path

MEBIBYTE = 1024 * 1024


class Resident:
    """The memory of a process, in MiB, and the most that it has had since this was made."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak is counted anew
        self.before = self.now()

    def now(self) -> float:
        return self._field("VmRSS")

    def growth(self) -> float:
        """How far it has grown at its peak."""
        return self._field("VmHWM") - self.before

    def _field(self, name: str) -> float:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise LookupError(name)
