"""Look up calls and those under way: what a bridge that has restarted must know."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.reservations import Reservation
from perminute.domain.errors import NotFound

if TYPE_CHECKING:
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallPlace, CallsUnderWay


class CallsPage(NamedTuple):
    """Calls under way, and the place after which the next page begins; None after the last page."""

    calls: tuple[Reservation, ...]
    next: CallPlace | None


@dataclass(frozen=True, slots=True)
class LookUpCalls:
    """The use case with its port. Raises `Unavailable`."""

    under_way: CallsUnderWay

    def call(self, organization_id: str, call_id: str) -> Reservation | Usage:
        """Return a call as it is now. Raises `NotFound`."""
        call = self.under_way.read_calls(organization_id, [call_id]).get(call_id)
        if call is None:
            raise NotFound(
                "callId", "is not known: nobody has asked to authorize it, and no end is recorded"
            )
        return call

    def page(
        self, organization_id: str, *, limit: int, after: CallPlace | None = None
    ) -> CallsPage:
        """Return at most `limit` calls under way, in the order in which they were authorized."""
        # One more than is wanted says whether there is a next page.
        found = self.under_way.calls_by_start(organization_id, limit=limit + 1, after=after)
        places = list(islice(found, limit + 1))
        page, further = places[:limit], places[limit:]
        known = self.under_way.read_calls(organization_id, [place.call_id for place in page])
        calls = (known.get(place.call_id) for place in page)
        # The index lags behind: what was released or has ended meanwhile is left out.
        under_way = (call for call in calls if isinstance(call, Reservation) and call.may_go_on)
        return CallsPage(tuple(under_way), page[-1] if further else None)
