"""The outside world: whatever is announced there is a line in a file, and nobody can take a line back.

A real service would know a repetition by its key. This one takes whatever it is told, so that a repetition would be seen.
"""

from pathlib import Path


def ears(data_dir: Path, workflow_id: str) -> Path:
    """Give the file that holds what the outside world has heard from a workflow."""
    return data_dir / f"{workflow_id}.announcements"


def announce(heard: Path, key: str, text: str) -> int:
    """Announce something, and give the number that the announcement has got."""
    with heard.open("a", encoding="utf-8") as lines:
        lines.write(f"{key} {text}\n")
    return len(listen(heard))


def listen(heard: Path) -> list[str]:
    """Give what has been heard, a line for each announcement."""
    return heard.read_text(encoding="utf-8").splitlines() if heard.exists() else []
