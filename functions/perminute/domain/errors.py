"""What can go wrong, as one small tree.

::

    PerminuteError
    ├── Refused             what came in cannot be processed, and never will be
    │   ├── Conflict        it is sound, but contradicts what came before it
    │   └── NotFound        it asks for something of which nothing is recorded
    ├── FaultyRateCard      a rate card is refused whole, with every fault it has
    ├── MissingSetting      the environment lacks what the template should have set
    ├── FurtherLotsNeeded   a decision needs lots that are not in the account item
    ├── AlreadyExists, TimelineFull, FactsFolded
    │                       nothing was committed: see domain.credit.transaction
    └── Unavailable         something we depend on did not answer; trying again is right
        ├── Contended       other writers of the same items were in the way
        │   └── AccountChanged  nothing was committed: see domain.credit.transaction
        └── Unwritable      the store takes no such item; alone it may be kept for a person
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class PerminuteError(Exception):
    """The root of everything that perminute raises on purpose."""


class Refused(PerminuteError):  # noqa: N818 - an outcome of the business, not a malfunction
    """The input is wrong for good: the message names the field and says what to do.

    `field` is the name as the sender wrote it (`endedAt`), so that it can be found again.
    """

    def __init__(self, field: str, message: str) -> None:
        """Keep the field apart from the message, for those who sort refusals by field."""
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Conflict(Refused):
    """What is asked for contradicts what was asked for before, or what became of it."""


class NotFound(Refused):
    """Nothing is recorded of what is asked for."""


class FurtherLotsNeeded(PerminuteError):  # noqa: N818 - a step of a decision, not a malfunction
    """The lots in the account item do not suffice: move further ones up and decide again.

    `short_micros` is what the charge lacks.
    """

    def __init__(self, short_micros: int) -> None:
        """Keeps what is missing, for those who move lots into the account item."""
        super().__init__(f"further lots are needed for {short_micros} micro-units")
        self.short_micros = short_micros


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a rate card, at a line of its file (the header is line 1)."""

    line: int
    message: str


class FaultyRateCard(PerminuteError):  # noqa: N818 - named for what the user has in hand
    """A rate card was refused whole; `faults` lists all that is wrong with it, by line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Sort the faults by line, the order in which somebody mends a file."""
        self.faults = tuple(sorted(faults))
        first = self.faults[0]
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        super().__init__(f"line {first.line}: {first.message}{more}")


class MissingSetting(PerminuteError):  # noqa: N818 - named for what is wrong
    """An environment variable that the template should have set is not there."""

    def __init__(self, name: str) -> None:
        """Name the variable, and nothing else of the environment."""
        super().__init__(
            f"environment variable {name} is not set; see Environment in template.yaml"
        )


class Unavailable(PerminuteError):  # noqa: N818 - a state of the world, not a bug
    """Something we depend on did not answer as it should; the delivery is to be tried again."""


class Contended(Unavailable):
    """Another writer, or too many of them, were in the way; trying again is right."""


class Unwritable(Unavailable):
    """The store refuses what is to be written, such as an item beyond its size.

    One such item cancels its whole transaction: what else is in it must be written without it.
    """


class FormerRateCardUnavailable(Unavailable):
    """A rate card that is no longer in force cannot be read.

    Only the calls that it prices wait for it: what else is charged with them must be charged alone.
    """
