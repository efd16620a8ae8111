"""The in-memory twin of the bucket of call records."""

from __future__ import annotations

from dataclasses import dataclass, field

from perminute.domain.errors import Contended
from perminute.ports.records_bucket import State


@dataclass
class InMemoryRecordsBucket:
    """`RecordsBucket` in dictionaries."""

    files: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)

    def keep(self, name: str, content: bytes) -> bool:
        if name in self.files:
            return False
        self.files[name] = content
        return True

    def state(self, name: str) -> State | None:
        return self.states.get(name)

    def store_state(self, name: str, content: bytes, *, read: State | None) -> State:
        if self.states.get(name) != read:
            msg = f"the state {name} was written by another run"
            raise Contended(msg)
        version = 1 + int(read.version if read else 0)
        self.states[name] = State(content, str(version))
        return self.states[name]
