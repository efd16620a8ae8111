from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from builders import ANSWERED, LONG_AGO, MICROS, card, holds, leg, volume

from perminute.domain.accounts import Account, CreditSettings, EntryType, LedgerEntry
from perminute.domain.errors import Refused
from perminute.domain.licensing import Licensing
from perminute.domain.usage import Flag, Terms, Usage, rate_leg

EMPTY = Account(organization_id="contoso")


def usage(call_id: str, charge_micros: int) -> Usage:
    licensing = Licensing(volume(), {"adele": holds("payPerMinute", "communicationsCredits")})
    rated = rate_leg(leg(call_id=call_id), Terms(licensing, card(), "USD", LONG_AGO))
    return replace(rated, charge_micros=charge_micros)


def settings(at: int, event_id: str = "e-1", currency: str = "USD") -> CreditSettings:
    return CreditSettings(
        configured_at=ANSWERED + timedelta(minutes=at), event_id=event_id, currency=currency
    )


def test_the_first_purchase_sets_the_credits_up() -> None:
    account, entry = EMPTY.purchased(50 * MICROS, "USD", purchased_at=LONG_AGO, at=ANSWERED)
    assert account == Account(
        organization_id="contoso",
        version=1,
        entries=1,
        balance_micros=50 * MICROS,
        currency="USD",
        credits_set_up_at=LONG_AGO,
    )
    assert entry == LedgerEntry(
        organization_id="contoso",
        entry_id="000000000001",
        type=EntryType.PURCHASE,
        amount_micros=50 * MICROS,
        balance_after_micros=50 * MICROS,
        at=ANSWERED,
    )


def test_credits_are_set_up_at_the_earliest_of_what_sets_them_up_whatever_comes_first() -> None:
    configured = EMPTY.configured(settings(0))
    account, _ = configured.purchased(1, "USD", purchased_at=LONG_AGO, at=ANSWERED)
    assert configured.credits_set_up_at == ANSWERED
    assert account.credits_set_up_at == LONG_AGO
    assert account.configured(settings(1)).credits_set_up_at == LONG_AGO


def test_the_currency_cannot_change() -> None:
    account, _ = EMPTY.purchased(1, "USD", purchased_at=LONG_AGO, at=ANSWERED)
    with pytest.raises(Refused, match=r"^currency: is EUR, but the credit of contoso is kept"):
        account.purchased(1, "EUR", purchased_at=LONG_AGO, at=ANSWERED)
    with pytest.raises(Refused, match=r"^currency: is EUR"):
        account.configured(settings(1, currency="EUR"))


def test_the_settings_configured_last_hold_whichever_arrives_first() -> None:
    first, second = settings(0, "e-1"), settings(1, "e-0")
    assert EMPTY.configured(first).configured(second).settings == second
    assert EMPTY.configured(second).configured(first).settings == second


def test_an_adjustment_may_lower_the_balance_below_zero_and_sets_nothing_up() -> None:
    account, entry = EMPTY.adjusted(-3 * MICROS, at=ANSWERED)
    assert (account.balance_micros, account.currency, account.credits_set_up_at) == (
        -3 * MICROS,
        None,
        None,
    )
    assert (entry.type, entry.amount_micros) == (EntryType.ADJUSTMENT, -3 * MICROS)


def test_a_batch_is_charged_in_one_entry_that_its_paid_usages_name() -> None:
    account = replace(EMPTY, balance_micros=10, version=7, entries=3)
    after, entry, usages = account.charged(
        [usage("a", 4), usage("b", 0), usage("c", 6), usage("d", 1)], at=ANSWERED
    )
    assert after == replace(account, balance_micros=-1, version=8, entries=4)
    assert entry == LedgerEntry(
        organization_id="contoso",
        entry_id="000000000004",
        type=EntryType.CHARGE,
        amount_micros=-11,
        balance_after_micros=-1,
        at=ANSWERED,
    )
    assert [(u.leg.call_id, u.entry_id, u.flags) for u in usages] == [
        ("a", "000000000004", ()),
        ("b", None, ()),
        ("c", "000000000004", ()),
        ("d", "000000000004", (Flag.OVERDRAWN,)),
    ]


def test_who_overdrew_does_not_depend_on_the_order_within_a_batch() -> None:
    account = replace(EMPTY, balance_micros=5)
    legs = [usage("c", 2), usage("a", 4), usage("b", 4)]
    for order in permutations(legs):
        _, _, named = account.charged(order, at=ANSWERED)
        flagged = {u.leg.call_id for u in named if Flag.OVERDRAWN in u.flags}
        assert flagged == {"b", "c"}


def test_a_batch_that_costs_nothing_leaves_the_account_as_it_was() -> None:
    free = usage("a", 0)
    after, entry, usages = EMPTY.charged([free], at=ANSWERED)
    assert after is EMPTY
    assert (entry, usages) == (None, (free,))
