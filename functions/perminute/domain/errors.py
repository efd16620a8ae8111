"""The exceptions of perminute, as one small tree.

::

    PerminuteError
    ├── Refused             the input cannot be processed, and never will be
    │   ├── Conflict        it is sound, but contradicts what came before it
    │   └── NotFound        it asks for something of which nothing is recorded
    ├── FaultyTable         a CSV file is refused whole, with every fault it has
    │   ├── FaultyRateCard
    │   └── FaultyDirectory
    ├── MissingSetting      the environment lacks what the template should have set
    ├── FurtherLotsNeeded   a decision needs lots that are not in the account item
    ├── AlreadyExists, TimelineFull, FactsFolded
    │                       nothing was committed: see domain.credit.transaction
    └── Unavailable         something we depend on did not answer; trying again is right
        ├── Contended                  other writers of the same items were in the way
        │   └── AccountChanged         nothing was committed, see domain.credit.transaction
        ├── Throttled                  the store has no capacity left for such requests
        ├── Unwritable                 the store does not accept such an item
        ├── SecretUnreadable           a secret is missing, or is not what it must be
        └── FormerRateCardUnavailable  a rate card that is no longer in force cannot be read
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PerminuteError(Exception):
    """The root of everything that perminute raises on purpose."""


class Refused(PerminuteError):  # noqa: N818 - an outcome of the business, not a malfunction
    """The input is wrong for good: the message says what to do about which field.

    `field` is the name as the sender wrote it (`endedAt`), so that it can be found again.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Conflict(Refused):
    """A request contradicts an earlier one, or its result."""


class NotFound(Refused):
    """Nothing is recorded of what is asked for."""


class FurtherLotsNeeded(PerminuteError):  # noqa: N818 - a step of a decision, not a malfunction
    """The lots in the account item do not suffice: move further ones up and decide again."""

    def __init__(self, short_micros: int) -> None:
        super().__init__(f"further lots are needed for {short_micros} micro-units")
        self.short_micros = short_micros


class Fault(NamedTuple):
    """One thing wrong with a CSV file, at a line of it (the header is line 1)."""

    line: int
    message: str


class FaultyTable(PerminuteError):  # noqa: N818 - named for what the user has in hand
    """A CSV file was refused whole; `faults` lists all that is wrong with it, by line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        first = self.faults[0]
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        super().__init__(f"line {first.line}: {first.message}{more}")


class FaultyRateCard(FaultyTable):
    """A rate card was refused."""


class FaultyDirectory(FaultyTable):
    """A directory of call records was refused."""


class MissingSetting(PerminuteError):  # noqa: N818 - named for what is wrong
    """An environment variable that the template should have set is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"environment variable {name} is not set; see Environment in template.yaml"
        )


class Unavailable(PerminuteError):  # noqa: N818 - a state of the world, not a bug
    """Something we depend on did not answer as it should: the delivery must be tried again."""


class Contended(Unavailable):
    """Other writers of the same items were in the way, for some milliseconds."""


class Throttled(Unavailable):
    """The store has no capacity left for such requests, perhaps for minutes."""


class Unwritable(Unavailable):
    """The store refuses an item, such as one beyond its size.

    One such item cancels its whole transaction: what else is in it must be written without it.
    """


class SecretUnreadable(Unavailable):
    """A secret cannot be read, or is faulty: an operator must act; no message shows its content."""


class FormerRateCardUnavailable(Unavailable):
    """A rate card that is no longer in force cannot be read.

    Only the calls that it prices wait for it: what else is charged with them is charged alone.
    """
