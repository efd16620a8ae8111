"""A rate card that changes: each version ends one of its rates and begins another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.values.times import format_instant
from perminute_local.simulation import masked

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,connection_fee,initial_increment_seconds,"
    "increment_seconds,from_second,effective_from,effective_to,blocked"
)
_RATES = ("0.004", "0.015", "0.0333", "0.2", "0.85")


@dataclass(frozen=True, slots=True)
class _Row:
    """A rate from one instant to another; `kind` is the leg type, prefix and country."""

    kind: str
    rate: str
    blocks: str = "60,60,0"
    since: datetime | None = None
    until: datetime | None = None

    def line(self) -> str:
        """Write it."""
        times = (format_instant(at) if at else "" for at in (self.since, self.until))
        return ",".join([self.kind, "USD", self.rate, self.blocks, *times, ""])


_ALWAYS = (
    "tollDialIn,1,US,USD,0.0085,,60,60,0,,,",
    "dialOut,449,GB,USD,,,60,60,0,,,true",
    "dialOut,371,LV,USD,0.50,0.05,60,60,0,,,",
    "dialOut,371,LV,USD,0.70,,60,60,120,,,",
    "dialOut,39,IT,EUR,0.05,,60,60,0,,,",
    *masked.ROWS,
)
"""What never changes: a blocked prefix, a rate in two steps, one in another currency, and what
masked digits may hide."""


@dataclass
class Cards:
    """Makes one version after the other."""

    rows: list[_Row] = field(
        default_factory=lambda: [
            _Row("dialOut,49,DE", "0.015,"),
            _Row("dialOut,44,GB", "0.02,0.10", "30,6,0"),
            _Row("dialOut,1,US", "0.01,"),
            _Row("tollFreeDialIn,1800,US", "0.022,"),
        ]
    )

    def csv(self) -> bytes:
        """Write the version that is in force."""
        lines = (_HEADER, *_ALWAYS, *(row.line() for row in self.rows))
        return "\n".join(lines).encode()

    def mended(self, drawn: Random) -> bytes:
        """Write that version as it should have been: a rate was wrong, and perhaps a country."""
        row = drawn.choice(self.rows)
        leg_type, prefix, country = row.kind.split(",")
        if leg_type == "dialOut" and drawn.randrange(2):
            country = "AF"  # no minute pool reaches it
        fee = row.rate.partition(",")[2]
        right = replace(
            row, kind=f"{leg_type},{prefix},{country}", rate=f"{drawn.choice(_RATES)},{fee}"
        )
        return Cards([right if one is row else one for one in self.rows]).csv()

    def change(self, drawn: Random, since: datetime) -> None:
        """End a rate that is open, and begin another in its place."""
        row = drawn.choice([row for row in self.rows if row.until is None])
        if row.since is not None and row.since >= since:
            return
        fee = row.rate.partition(",")[2]
        self.rows.remove(row)
        self.rows.append(replace(row, until=since))
        self.rows.append(replace(row, rate=f"{drawn.choice(_RATES)},{fee}", since=since))
