"""How a bridge does what it is told, and what it gets wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.authorization.reservations import HANG_UP
from perminute_local.simulation.slips import Slip

if TYPE_CHECKING:
    from random import Random

_MILLISECOND = timedelta(milliseconds=1)
_HANG_UP = HANG_UP // _MILLISECOND
"""A bridge takes so many milliseconds to hang up at most, which is what answers leave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What differs from bridge to bridge, all of it allowed but a slip.

    Its request to hang up takes so many milliseconds, and a call that ends by itself lasts some
    milliseconds `ends_past` whole seconds. It may report by `totalUsedSeconds`, and may say in a
    repeat how much is wanted where the request before left it out. It first reports at the second
    `reports_at`, if that is set, and wants other seconds then. If it `is_deaf`, it hears no answer
    to a report. Telephony's clock is off by `skew` seconds. If it `sleeps`, it is granted a call,
    and asks again when that has lapsed.
    """

    hangs_up_in: int = 0
    ends_past: int = 0
    slip: Slip | None = None
    reports_totals: bool = False
    spells_out: bool = False
    reports_at: int | None = None
    then_wants: int | None = None
    is_deaf: bool = False
    skew: int = 0
    sleeps: bool = False

    @property
    def hanging_up(self) -> timedelta:
        """How long the call goes on after the bridge has begun to hang up."""
        return self.hangs_up_in * _MILLISECOND

    @property
    def beyond(self) -> timedelta:
        """What is added to the whole seconds that a call lasts."""
        return self.ends_past * _MILLISECOND


def manners_drawn(drawn: Random) -> Manners:
    """Draw those of a bridge: many take as long to hang up as they may."""
    return Manners(
        hangs_up_in=drawn.choice((0, 1, 180, _HANG_UP - 1, _HANG_UP)),
        ends_past=drawn.choice((0, 0, 1, 999)),
        slip=drawn.choice((None, None, None, *Slip)),
        reports_totals=drawn.randrange(3) == 0,
        spells_out=drawn.randrange(2) == 0,
    )
