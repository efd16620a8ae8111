"""Stores of which every request can be overtaken by what somebody else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from stores import Stores

Watcher = list["Callable[[], None]"]
"""What is called before each request; tests put in and remove it."""


@dataclass
class Interruption:
    """Does something once, before the n-th request of whoever is watched."""

    at: int
    do: Callable[[], None]
    requests: int = 0

    def __call__(self, *_args: object, **_more: object) -> None:
        self.requests += 1
        if self.requests == self.at:
            self.do()


class Watched:
    """A store of which every call counts as a request, and each thing that it goes through."""

    def __init__(self, store: object, watcher: Watcher) -> None:
        self._store = store
        self._watcher = watcher

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: object, **more: object) -> object:
            self._request()
            answer = getattr(self._store, name)(*arguments, **more)
            return self._each(answer) if isinstance(answer, Iterator) else answer

        return called

    def _request(self) -> None:
        for interruption in self._watcher:
            interruption()

    def _each(self, answer: Iterator[object]) -> Iterator[object]:
        # On DynamoDB each item may be the first one of another page.
        for one in answer:
            yield one
            self._request()


def watched(stores: Stores, watcher: Watcher) -> Stores:
    """Return stores over the same data of which every request counts."""
    names = {field.name for field in fields(stores)} - {"outbox", "stored"}
    each: dict[str, Any] = {name: Watched(getattr(stores, name), watcher) for name in names}
    return replace(stores, **each)


def watch_dynamodb(stores: Stores, watcher: Watcher) -> None:
    """Have every request counted that is made of DynamoDB over the connection of these stores."""

    def before_each(**_more: object) -> None:
        for interruption in watcher:
            interruption()

    connection = stores.calls._tables.connection  # type: ignore[attr-defined] # noqa: SLF001
    connection.client.meta.events.register("before-call.dynamodb", before_each)
