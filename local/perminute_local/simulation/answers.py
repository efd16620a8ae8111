"""What each answer of the charging API has to be, by what its organization was just then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perminute.domain.credit.credit_settings import MAX_GRANT_SECONDS, FailureHandling
from perminute.domain.values.money import parse_micros
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute_local.simulation.plan import Bridged

SETTING = "answers carry the failureHandling in force"
LONGEST = "no grant is longer than maxGrantSeconds and a block"
CREDIT_FIRST = "credit that is short is named before any limit"
_BLOCK = 60
"""The longest block of the simulated rate cards."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request that was sent for the first time.

    `accounts` are all that the organization's account was while it was answered.
    """

    call_id: str
    call: Bridged
    name: str
    answer: Mapping[str, Any]
    accounts: Sequence[Account]
    at: datetime

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
        if self._names_a_limit and not any(map(self._bears_a_block, self.accounts)):
            yield self._breaks(CREDIT_FIRST, f"names {answer['limit']}, and credit is short")

    @property
    def _names_a_limit(self) -> bool:
        """Whether a limit is why a call may not begin that would be paid by credit alone."""
        is_denied = self.answer["decision"] == "deny" and self.answer["limit"] is not None
        return is_denied and self.name == "authorize" and not self.call.draws_on_pool

    def _bears_a_block(self, account: Account) -> bool:
        """Whether the credit may have paid a minute, the block of all that such calls cost.

        Credit that has expired may be counted, and perhaps the call is dearer in a moment.
        """
        available_micros = account.balance_micros - account.reserved.amount_at(self.at)
        fee, rate = (parse_micros(self.answer[what]) for what in ("connectionFee", "ratePerMinute"))
        return available_micros >= fee + rate

    def _breaks(self, promise: str, why: str) -> Broken:
        return Broken(promise, f"an answer to {self.call_id} {why}")
