from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from perminute.domain.rating.calls import LegType
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.rates.publishing import Change, Offer, difference

if TYPE_CHECKING:
    from perminute.domain.rating.rate_card import RateCard

HEADER = (
    "leg_type,prefix,country,currency,rate_per_minute,connection_fee,initial_increment_seconds,"
    "increment_seconds,from_second,effective_from,effective_to,blocked"
)
AT = datetime(2026, 11, 2, tzinfo=UTC)
DIAL_OUT, TOLL = LegType.DIAL_OUT, LegType.TOLL_DIAL_IN
GERMANY = "dialOut,49,DE,USD,0.015,,,,,,,"


def card(*rows: str) -> RateCard:
    return read_rate_card("\n".join([HEADER, *rows]).encode())


def change(before: str, after: str) -> Change | None:
    """What becomes of +49 where +1 stays."""
    stays = "dialOut,1,US,USD,0.01,,,,,,,"
    compared = difference(card(stays, *before.split()), card(stays, *after.split()), at=AT)
    assert {rate.prefix for rate in compared.changed} <= {"49"}
    return compared.changed[0].change if compared.changed else None


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("", Change.GONE),
        (GERMANY, None),
        ("dialOut,49,AT,USD,0.0150,0,60,60,0,,,false", None),
        ("dialOut,49,DE,USD,0.016,,,,,,,", Change.DEARER),
        ("dialOut,49,DE,USD,0.014,,,,,,,", Change.CHEAPER),
        ("dialOut,49,DE,USD,0.015,0.01,,,,,,", Change.DEARER),
        ("dialOut,49,DE,USD,0.015,,1,1,,,,", Change.CHEAPER),
        ("dialOut,49,DE,USD,0.014,0.01,,,,,,", Change.DEARER),
        ("dialOut,49,DE,EUR,0.001,,,,,,,", Change.OTHER_CURRENCY),
        ("dialOut,49,DE,USD,,,,,,,,true", Change.BLOCKED),
        (f"{GERMANY} dialOut,49,DE,USD,0.01,,,,1800,,,", Change.CHEAPER),
        ("dialOut,49,DE,USD,0.015,,,,,,2026-11-02T00:00:00Z,", Change.GONE),
        ("dialOut,49,DE,USD,0.015,,,,,2026-11-02T00:00:00.5Z,,", Change.GONE),
        ("dialOut,49,DE,USD,0.015,,,,,2026-11-02T00:00:00Z,,", None),
        (
            "dialOut,49,DE,USD,0.015,,,,,,2026-12-01T00:00:00Z, "
            "dialOut,49,DE,USD,0.02,,,,,2026-12-01T00:00:00Z,,",
            Change.DEARER,
        ),
    ],
)
def test_a_rate_is_compared_by_what_it_prices_from_now_on(
    after: str, expected: Change | None
) -> None:
    assert change(GERMANY, after) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", GERMANY, Change.ADDED),
        ("dialOut,49,DE,USD,,,,,,,,true", GERMANY, Change.UNBLOCKED),
        ("dialOut,49,DE,USD,,,,,,,,true", "dialOut,49,DE,EUR,,,,,,,,true", None),
        ("dialOut,49,DE,USD,,,,,,,,true", "", Change.GONE),
        # What has ended is history, and what begins later must not be lost.
        ("dialOut,49,DE,USD,0.1,,,,,,2026-11-01T00:00:00Z,", "", None),
        ("dialOut,49,DE,USD,0.1,,,,,2026-12-01T00:00:00Z,,", "", Change.GONE),
        ("dialOut,49,DE,USD,0.1,,,,,2026-12-01T00:00:00Z,,", GERMANY, Change.CHEAPER),
    ],
)
def test_what_comes_and_what_had_ended_is_told_apart(
    before: str, after: str, expected: Change | None
) -> None:
    assert change(before, after) is expected


def test_changes_are_counted_by_leg_type_and_country() -> None:
    before = card(
        GERMANY,
        "dialOut,43,AT,USD,0.1,,,,,,,",
        "dialOut,437,AT,USD,0.2,,,,,,,",
        "tollDialIn,49,DE,USD,0.01,,,,,,,",
    )
    after = card(
        "dialOut,49,DE,USD,0.02,,,,,,,",
        "dialOut,4915,DE,USD,0.2,,,,,,,",
        "dialOut,43,AT,USD,0.1,,,,,,,",
        "tollDialIn,49,DE,USD,0.01,,,,,,,",
    )
    compared = difference(before, after, at=AT)
    assert compared.counts() == {
        Offer(DIAL_OUT, "AT"): Counter({Change.GONE: 1}),
        Offer(DIAL_OUT, "DE"): Counter({Change.DEARER: 1, Change.ADDED: 1}),
    }
    assert compared.prefixes == 4


def test_a_leg_type_or_country_without_a_price_is_gone_though_it_is_one_prefix_of_many() -> None:
    many = [f"dialOut,1{area},US,USD,0.01,,,,,,," for area in range(200, 300)]
    germany, toll = GERMANY, "tollDialIn,49,DE,USD,0.01,,,,,,,"
    before = card(*many, germany, toll)
    assert difference(before, card(*many, germany), at=AT).offers_gone == (Offer(TOLL, None),)
    assert difference(before, card(*many, toll), at=AT).offers_gone == (Offer(DIAL_OUT, "DE"),)
    blocked = "dialOut,49,DE,USD,,,,,,,,true"
    assert difference(before, card(*many, toll, blocked), at=AT).offers_gone == (
        Offer(DIAL_OUT, "DE"),
    )
    nameless = "dialOut,49,,USD,0.015,,,,,,,"
    assert difference(before, card(*many, toll, nameless), at=AT).offers_gone == (
        Offer(DIAL_OUT, "DE"),
    )
    later = "tollDialIn,49,DE,USD,0.01,,,,,2027-12-01T00:00:00Z,,"
    assert difference(before, card(*many, germany, later), at=AT).offers_gone == (
        Offer(TOLL, None),
    )
    assert difference(card(*many, later), card(*many), at=AT).offers_gone == (Offer(TOLL, None),)
    assert difference(before, card(*many, germany), at=AT).shrinks
    assert difference(before, card(*many, toll), at=AT).shrinks
    assert not difference(before, before, at=AT).shrinks


def test_more_than_a_tenth_of_the_prefixes_is_too_much() -> None:
    rows = [f"dialOut,1{area},US,USD,0.01,,,,,,," for area in range(200, 220)]
    assert not difference(card(*rows), card(*rows[2:]), at=AT).shrinks
    assert difference(card(*rows), card(*rows[3:]), at=AT).shrinks
    added = [f"dialOut,1{area},US,USD,0.01,,,,,,," for area in range(300, 400)]
    assert difference(card(*rows), card(*rows[3:], *added), at=AT).shrinks
