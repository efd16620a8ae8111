"""What each answer of the charging API has to be, by what its organization was just then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perminute.domain.credit_settings import MAX_GRANT_SECONDS, FailureHandling
from perminute_local.simulation.effects import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.accounts import Account

SETTING = "answers carry the failureHandling in force"
LONGEST = "no grant is longer than maxGrantSeconds and a block"
_BLOCK = 60
"""The longest block of the simulated rate cards."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request that was sent for the first time.

    `accounts` are all that the organization's account was while it was answered.
    """

    call_id: str
    answer: Mapping[str, Any]
    accounts: Sequence[Account]

    def broken(self) -> Iterator[Broken]:
        """Yield what is wrong with it."""
        answer, settings = self.answer, [account.settings for account in self.accounts]
        handling = {one.failure_handling if one else FailureHandling.CLOSED for one in settings}
        if answer["failureHandling"] not in handling:
            yield self._breaks(SETTING, f"says {answer['failureHandling']}")
        longest = max(one.max_grant_seconds if one else MAX_GRANT_SECONDS for one in settings)
        if answer["grantedSeconds"] > longest + _BLOCK:
            why = f"grants {answer['grantedSeconds']} s, and at most {longest} s are to be granted"
            yield self._breaks(LONGEST, why)

    def _breaks(self, promise: str, why: str) -> Broken:
        return Broken(promise, f"an answer to {self.call_id} {why}")
