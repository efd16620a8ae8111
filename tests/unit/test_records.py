"""How large items are: a started kilobyte costs as much as a whole one, with every charge."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from builders import holding, lot, phone_call
from items import size_of

from perminute.adapters.dynamodb.account_items import account_item
from perminute.adapters.dynamodb.call_items import reservation_item, usage_item
from perminute.adapters.dynamodb.counter_items import spending_item
from perminute.adapters.dynamodb.list_items import ENDED_OTHERWISE, call_list_record
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    ReservedPart,
)
from perminute.domain.credit.credit_settings import LATE_USAGE, CreditSettings
from perminute.domain.credit.holds import NOTHING_HELD, Hold, Holds, charge_time, lapses_at
from perminute.domain.credit.ledger import entry_id
from perminute.domain.credit.lots import (
    MAX_LOTS_IN_ACCOUNT,
    FurtherLots,
    LotShare,
    twelve_months_after,
)
from perminute.domain.credit.recharge import (
    AutoRecharge,
    RechargeRequest,
    RechargeState,
    recharge_id,
)
from perminute.domain.limits.spending import PartOfDay, SpendCounter, SpendKey, SpendKind, day_of
from perminute.domain.rating.rate_card import Step
from perminute.domain.rating.usage_record import Flag, Outcome, Price, Usage

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lot

AT = datetime(2026, 11, 2, 14, 39, 50, 123_456, tzinfo=UTC)
KILOBYTE = 1_024


def bought(number: int, purchase_id: str) -> Lot:
    expires_at = twelve_months_after(AT)
    return lot(
        f"{number:012d}",
        150_000_000,
        purchase_id=purchase_id,
        purchased_at=AT,
        expires_at=expires_at,
    )


def account(*lots: Lot) -> Account:
    """A busy organization's: settings, a recharge under way, times to the microsecond."""
    auto = AutoRecharge(
        trigger_micros=50_000_000, recharge_micros=200_000_000, monthly_limit_micros=10**9
    )
    request = RechargeRequest(
        recharge_id=recharge_id("contoso", 1),
        amount_micros=200_000_000,
        requested_at=AT,
        attempted_at=AT + timedelta(days=11, microseconds=123_456),
        attempt=12,
    )
    return holding(*lots)._replace(
        organization_id="8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60",
        version=123_456,
        licensing_version=321,
        entries=98_765,
        as_of=AT,
        settings=CreditSettings(
            configured_at=AT,
            event_id="1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c15",
            currency="USD",
            low_balance_thresholds_micros=(100_000_000, 20_000_000),
            auto_recharge=auto,
        ),
        recharge=RechargeState(
            requests=5,
            open=request,
            month=datetime(2026, 11, 1, tzinfo=UTC),
            month_micros=10**9,
            day=datetime(2026, 11, 2, tzinfo=UTC),
            day_requests=3,
        ),
    )


def test_an_account_with_three_lots_and_a_recharge_under_way_takes_one_kilobyte() -> None:
    lots = [bought(number, f"po-100{number}") for number in range(3)]
    assert size_of(account_item(account(*lots))) <= KILOBYTE


def test_what_any_number_of_calls_has_reserved_takes_another_kilobyte() -> None:
    """Two hundred calls, authorized second by second, and as many that wait for their end."""
    one = account(*(bought(number, f"po-100{number}") for number in range(3)))
    reserved = NOTHING_HELD
    for number in range(200):
        at = AT + timedelta(seconds=number)
        for span in (timedelta(minutes=12), timedelta(days=1)):
            reserved = reserved.with_added(Hold(lapses_at(at, span), 123_456_789, 1))
    days = tuple(
        SpendCounter(key=day_of(AT + timedelta(days=n)), spent_micros=10**9, held=reserved)
        for n in range(3)
    )
    busy = one._replace(reserved=reserved, days=days, corrections=12, call_limit_notified=True)
    assert size_of(account_item(busy)) <= 2 * KILOBYTE


def used_for(span: timedelta) -> Holds:
    """What calls have used that were reported within a span, and of which no `Call Ended` came."""
    used = NOTHING_HELD
    for number in range(span // timedelta(minutes=10)):
        due_at = charge_time(AT + LATE_USAGE + number * timedelta(minutes=10))
        used = used.with_added(Hold(due_at, 12_345_678, 1, used=True, began_at=AT))
    return used


def test_what_waits_72_hours_to_be_charged_takes_no_kilobyte_of_its_own() -> None:
    full = account(*(bought(number, f"po-100{number}") for number in range(MAX_LOTS_IN_ACCOUNT)))
    plain = full._replace(settings=None, recharge=RechargeState())
    waits = used_for(LATE_USAGE)
    assert size_of(account_item(full._replace(reserved=waits))) < 2 * KILOBYTE
    assert size_of(account_item(plain._replace(reserved=waits))) < KILOBYTE
    # What is due stays for another day, until the daily run has charged it.
    longest = used_for(LATE_USAGE + timedelta(days=1))
    assert size_of(account_item(full._replace(reserved=longest))) < 2 * KILOBYTE


def test_an_account_with_any_number_of_lots_is_a_small_item() -> None:
    lots = [bought(number, f"po-100{number}") for number in range(MAX_LOTS_IN_ACCOUNT)]
    further = FurtherLots.of([bought(number, "po") for number in range(300)])
    assert size_of(account_item(account(*lots)._replace(further=further))) <= KILOBYTE


def test_a_limit_whose_calls_are_being_counted_takes_one_kilobyte() -> None:
    guid = "8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60"
    reserved = NOTHING_HELD
    for number in range(20):
        at = AT + number * timedelta(minutes=10)
        reserved = reserved.with_added(Hold(lapses_at(at, timedelta(days=1)), 123_456_789, 1))
    counted = SpendCounter(
        key=SpendKey(SpendKind.USER, f"adele.vance+{guid}@contoso.example", AT),
        corrections=123_456,
        spent_micros=10**12,
        held=reserved,
        notified_micros=10**12,
        counted_before=AT.date(),
        part=PartOfDay(f"{call_list_record(AT)}#{'9' * 12}{ENDED_OTHERWISE}", 98_765, 10**12),
    )
    assert size_of(spending_item(guid, counted)) <= KILOBYTE


def test_a_call_under_way_takes_one_kilobyte() -> None:
    """With ids like real ones, in the middle of it, where there is a limit for the day."""
    guid = "8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60"
    called = phone_call(
        organization_id=guid,
        call_id=guid,
        organizer_id=guid,
        meeting_id="19:meeting_MzQ0ZjI2YmMtYjBlYi00ZjY4LWI2ZGQtMTIzNDU2@thread.v2",
        service_number="+493023125100",
        remote_number="+493023125042",
        answered_at=AT,
        ended_at=AT,
    )
    reservation = Reservation(
        call=called,
        last_request=ChargingRequest(Operation.UPDATE, 12, 300, 300),
        answer=Answer(
            sequence=12,
            decision=Decision.ALLOW,
            granted_seconds=310,
            valid_until=AT,
            report_before=AT,
            hang_up_after_seconds=3_898,
            remaining_seconds=86_400,
            final_unit=True,
            paid_by=PaidBy.CREDITS,
            rate_micros_per_minute=15_000,
            connection_fee_micros=15_000,
            currency="USD",
        ),
        rate_card_version="2026-11-02-corrected",
        used_seconds=3_600,
        reported_at=AT,
        promised=Promise(AT, 12_345_678, 0),
        held=(ReservedPart(AT, 12_345_678, 0, used=True), ReservedPart(AT, 12_345_678, 0)),
        limit_keys=(day_of(AT),),
    )
    row = reservation_item(reservation)
    assert row["underWaySince"] == {"S": "2026-11-02T14:39:50.123456Z"}
    assert size_of(row) <= KILOBYTE


def charged(price: Price) -> Usage:
    """A call with ids like real ones, paid by two lots, with a flag."""
    guid = "8a5b2b1e-5c2f-4d3a-9a6e-1b2c3d4e5f60"
    called = phone_call(
        organization_id=guid,
        call_id=guid,
        organizer_id=guid,
        meeting_id="19:meeting_MzQ0ZjI2YmMtYjBlYi00ZjY4LWI2ZGQtMTIzNDU2@thread.v2",
        service_number="+493023125100",
        remote_number="+493023125042",
        answered_at=AT,
        ended_at=AT,
        billable_seconds=3_599,
    )
    shares = (LotShare(entry_id(n), guid, 123_456_789) for n in (1, 2))
    return Usage(
        call=called,
        outcome=Outcome.CHARGED,
        reason=None,
        price=price,
        charge_micros=246_913_578,
        authorized_at=AT,
        flags=(Flag.OVERDRAWN,),
        entry_id=entry_id(98_765),
        lots=tuple(shares),
    )


PRICE = Price(
    rate_card_version="2026-11-02-corrected",
    billed_seconds=3_600,
    prefix="4930",
    country="DE",
    rate_micros_per_minute=15_000,
    connection_fee_micros=15_000,
    retail_micros=246_913_578,
    currency="USD",
)


def test_the_rate_of_most_calls_takes_no_more_room_for_its_steps() -> None:
    record = usage_item(charged(PRICE))["record"]["S"]
    assert not {"increments", "laterSteps"} & json.loads(record).keys()


def test_a_call_with_a_rate_in_three_steps_takes_one_kilobyte() -> None:
    steps = Step(120, 1_234_567, 60), Step(3_600, 2_345_678, 60)
    stepped = PRICE._replace(initial_increment_seconds=30, increment_seconds=6, later_steps=steps)
    assert size_of(usage_item(charged(stepped))) <= KILOBYTE


def test_reports_of_a_call_write_nothing_to_the_index_of_calls_under_way() -> None:
    """An index is paid for when its keys change: once a call is let in, and once it is over."""
    called = phone_call(answered_at=AT, ended_at=AT)
    let_in = Answer(sequence=0, decision=Decision.ALLOW, granted_seconds=60)
    denied = Answer(sequence=1, decision=Decision.DENY, reason="insufficientCredit")
    calls = [
        Reservation(
            call=called,
            last_request=ChargingRequest(operation, 1),
            answer=answer,
            reported_at=AT + timedelta(minutes=number),
        )
        for number, (operation, answer) in enumerate(
            (
                (Operation.AUTHORIZE, denied),
                (Operation.AUTHORIZE, let_in),
                (Operation.UPDATE, let_in),
                (Operation.UPDATE, denied),
                (Operation.RELEASE, let_in),
            )
        )
    ]
    at = {"S": "2026-11-02T14:39:50.123456Z"}
    assert [reservation_item(one).get("underWaySince") for one in calls] == [None, at, at, at, None]


def test_only_calls_that_have_nothing_to_be_charged_are_forgotten() -> None:
    called = phone_call(answered_at=AT, ended_at=AT)
    asked, answer = (
        ChargingRequest(Operation.UPDATE, 1),
        Answer(sequence=1, decision=Decision.ALLOW),
    )
    silent = Reservation(
        call=called, last_request=asked, answer=answer, held=(ReservedPart(AT, 1, 0),)
    )
    reported = replace(silent, used_seconds=1, held=(ReservedPart(AT, 1, 0, used=True),))
    a_month_on = {"N": f"{datetime(2026, 12, 2, 14, 39, 50, tzinfo=UTC).timestamp():.0f}"}
    rows = [reservation_item(one) for one in (silent, reported)]
    assert [(row.get("forgetAt"), row.get("chargeAt")) for row in rows] == [
        (a_month_on, None),
        (None, {"S": "2026-11-02T14:39:50Z"}),
    ]
