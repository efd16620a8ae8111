"""What an invariant is, and how it is broken."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

from perminute.domain.errors import Contended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

P = ParamSpec("P")

PROMISES: set[str] = set()
"""What all invariants that were imported promise."""


class Broken(NamedTuple):
    """A promise that does not hold, and how one sees it."""

    promise: str
    message: str

    def of(self, organization_id: str) -> Broken:
        """Return it with the name of the organization."""
        return Broken(self.promise, f"{organization_id}: {self.message}")


def invariant(check: Callable[P, Iterable[str]]) -> Callable[P, Iterator[Broken]]:
    """Make a check that yields what is wrong yield that its promise, the docstring, is broken."""
    sentence = (check.__doc__ or "").partition("\n")[0].removesuffix(".")
    promise = sentence[0].lower() + sentence[1:]
    PROMISES.add(promise)

    @wraps(check)
    def broken(*args: P.args, **options: P.kwargs) -> Iterator[Broken]:
        return (Broken(promise, message) for message in check(*args, **options))

    return broken


def promise(sentence: str) -> Callable[..., list[Broken]]:
    """Return a promise that is checked elsewhere: called with what is wrong, it is broken."""
    PROMISES.add(sentence)
    return lambda *messages: [Broken(sentence, message) for message in messages]


def reads_stored(check: Callable[P, Broken | None]) -> Callable[P, Broken | None]:
    """Make a check return what is broken if stored items contradict each other.

    Where nobody is writing, no reading is contended.
    """

    @wraps(check)
    def broken(*args: P.args, **options: P.kwargs) -> Broken | None:
        try:
            return check(*args, **options)
        except Contended as error:
            return _items_agree(str(error))[0]

    return broken


_items_agree = promise("stored items do not contradict each other")
everything_settles = promise("everything settles")
books_agree = promise("balance = ledger = lots less debt")
