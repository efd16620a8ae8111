"""What reports about calls have in common: which calls, and what is never among them."""

from __future__ import annotations

from typing import Annotated, Literal

from perminute.api.reports.parameters import PeriodQuery
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.usage_sums import UsageFilter
from perminute.fields import Country, Id, about

Omitted = Annotated[
    list[Literal["free"]], about("Outcomes that are left out: free calls are in no list.")
]
OMITTED: list[Literal["free"]] = ["free"]


class CallsQuery(PeriodQuery, frozen=True, kw_only=True):
    """A period in which calls ended, and which of them."""

    organizer_id: Id | None = None
    leg_type: LegType | None = None
    country: Annotated[Country | None, about("That of the row of the rate card.")] = None
    outcome: Outcome | None = None

    @property
    def wanted(self) -> UsageFilter:
        """The filter."""
        return UsageFilter(self.organizer_id, self.leg_type, self.country, self.outcome)
