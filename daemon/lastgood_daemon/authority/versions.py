"""The versions of the records that are in memory, for the expectations of the next write."""

from lastgood_daemon.store.protocol import RecordKey


class Versions:
    """See the module. Kept by owner, since what belongs to one owner leaves memory together."""

    def __init__(self) -> None:
        self._owners: dict[tuple[bool, str], dict[RecordKey, int]] = {}

    def get(self, key: RecordKey) -> int:
        """Give a version; 0 where there is no such record."""
        return self._owners.get(_owner(key), {}).get(key, 0)

    def put(self, key: RecordKey, version: int) -> None:
        """Note a version."""
        self._owners.setdefault(_owner(key), {})[key] = version

    def put_all(self, versions: dict[RecordKey, int]) -> None:
        """Note the versions of records of one owner; the dict is taken over, since to copy 100,000 takes long."""
        if not versions:
            return
        owner = _owner(next(iter(versions)))
        for key, version in self._owners.get(owner, {}).items():
            versions.setdefault(key, version)
        self._owners[owner] = versions

    def pop(self, key: RecordKey) -> None:
        """Forget a version, if it is known."""
        owned = self._owners.get(_owner(key), {})
        owned.pop(key, None)
        if not owned:
            self._owners.pop(_owner(key), None)

    def forget(self, owner: str) -> None:
        """Forget the records of a state and the workflow of the same id."""
        self._owners.pop((False, owner), None)

    def forget_session(self, session_id: str) -> None:
        """Forget the records of a session."""
        self._owners.pop((True, session_id), None)

    def forget_sessions(self) -> None:
        """Forget the records of all sessions."""
        self._owners = {owner: owned for owner, owned in self._owners.items() if not owner[0]}


def _owner(key: RecordKey) -> tuple[bool, str]:
    return key.kind == "session", key.owner
