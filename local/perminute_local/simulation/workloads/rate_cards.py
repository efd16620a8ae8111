"""Rate cards that change: each version ends one rate and begins another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.values.times import format_instant
from perminute_local.simulation.workloads.events import HIDDEN_ROWS

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,connection_fee,initial_increment_seconds,"
    "increment_seconds,from_second,effective_from,effective_to,blocked"
)
_RATES = ("0.004", "0.015", "0.0333", "0.2", "0.85")
_FIXED_ROWS = (
    "tollDialIn,1,US,USD,0.0085,,60,60,0,,,",
    "dialOut,449,GB,USD,,,60,60,0,,,true",
    "dialOut,371,LV,USD,0.50,0.05,60,60,0,,,",
    "dialOut,371,LV,USD,0.70,,60,60,120,,,",
    "dialOut,39,IT,EUR,0.05,,60,60,0,,,",
    *HIDDEN_ROWS,
)


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    """Leg type, prefix and country."""
    rate: str
    """Price of a minute, and the connection fee or nothing."""
    increments: str = "60,60,0"
    since: datetime | None = None
    until: datetime | None = None

    def priced(self, price: str) -> _Row:
        return replace(self, rate=f"{price},{self.rate.partition(',')[2]}")

    def line(self) -> str:
        times = (format_instant(at) if at else "" for at in (self.since, self.until))
        return ",".join([self.kind, "USD", self.rate, self.increments, *times, ""])


@dataclass
class RateCards:
    """The rate card in force; its versions follow each other."""

    rows: list[_Row] = field(
        default_factory=lambda: [
            _Row("dialOut,49,DE", "0.015,"),
            _Row("dialOut,44,GB", "0.02,0.10", "30,6,0"),
            _Row("dialOut,1,US", "0.01,"),
            _Row("tollFreeDialIn,1800,US", "0.022,"),
        ]
    )

    def csv(self) -> bytes:
        """Return the version in force."""
        return "\n".join((_HEADER, *_FIXED_ROWS, *(row.line() for row in self.rows))).encode()

    def corrected(self, rng: Random) -> bytes:
        """Return that version as it should have been: a rate was wrong, and perhaps a country."""
        row = rng.choice(self.rows)
        leg_type, prefix, country = row.kind.split(",")
        if leg_type == "dialOut" and rng.randrange(2):
            country = "AF"  # no minute pool reaches it
        right = replace(row, kind=f"{leg_type},{prefix},{country}").priced(rng.choice(_RATES))
        return RateCards([right if other is row else other for other in self.rows]).csv()

    def change(self, rng: Random, since: datetime) -> None:
        """End a rate without an end, and begin another in its place."""
        row = rng.choice([row for row in self.rows if row.until is None])
        if row.since is not None and row.since >= since:
            return
        self.rows.remove(row)
        self.rows += (
            replace(row, until=since),
            replace(row, since=since).priced(rng.choice(_RATES)),
        )
