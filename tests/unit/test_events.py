from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ENDED, phone_call, rating

from perminute.application.book_credit import CreditEvent, FailedRecharge
from perminute.application.charge_calls import EndedCall
from perminute.application.results import against_recorded_call
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import Producer
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.errors import Refused
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute.domain.values.times import format_instant, parse_instant
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, check_within_horizon, licensing_event
from perminute.events.telephony import TELEPHONY, ended_call

EVENTS = Path(__file__).parents[2] / "events"


def sample(name: str, /, **changed: Any) -> str:
    """A sample event; `None` removes a field of its detail."""
    event = json.loads((EVENTS / f"{name}.v1.json").read_text())
    detail = {**event["detail"], **changed}
    return json.dumps({**event, "detail": {k: v for k, v in detail.items() if v != "REMOVED"}})


def refusal(body: str, door: Any, to_domain: Any) -> str:
    with pytest.raises(Refused) as refused:
        to_domain(read_event(body, door))
    return str(refused.value)


def test_a_call_becomes_the_leg_that_it_describes() -> None:
    event = ended_call(read_event(sample("call-ended"), TELEPHONY))
    assert event == EndedCall(
        phone_call(
            call_id="b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21",
            meeting_id="weekly-0211",
            answered_at=datetime(2026, 11, 2, 9, 2, 11, 417_000, tzinfo=UTC),
            ended_at=datetime(2026, 11, 2, 9, 30, 59, tzinfo=UTC),
            billable_seconds=1728,
        ),
        datetime(2026, 11, 2, 9, 31, tzinfo=UTC),
    )


def test_ids_of_an_event_are_in_lower_case_where_case_does_not_count() -> None:
    call = ended_call(
        read_event(
            sample(
                "call-ended",
                organizationId="Contoso@Home",
                callId="B6C1A0F4-7A3E-4A5F-8F0A-1F6A0C7B9D21",
                organizerId="Adele@Contoso.com",
                meetingId="Weekly-0211",
            ),
            TELEPHONY,
        )
    ).call
    assert (call.organization_id, call.call_id, call.organizer_id, call.meeting_id) == (
        "Contoso@Home",
        "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21",
        "adele@contoso.com",
        "Weekly-0211",
    )


@pytest.mark.parametrize(
    "spelled",
    [
        *("anonymous", "", "sip:anonymous@anonymous.invalid", "104", "+1206555*****", "REMOVED"),
        *(14255550199, 10**400, 1e300, True, ["+14255550199"], {"number": None}, "\ud800"),
    ],
)
@pytest.mark.parametrize(
    ("leg_type", "field"),
    [
        ("tollDialIn", "remoteNumber"),
        ("tollFreeDialIn", "remoteNumber"),
        ("dialOut", "serviceNumber"),
        ("app", "serviceNumber"),
        ("app", "remoteNumber"),
    ],
)
def test_a_number_that_sets_no_price_and_is_none_is_withheld(
    leg_type: str, field: str, spelled: object
) -> None:
    numbers = {"serviceNumber": "+14255550199", "remoteNumber": "+493023125042"}

    def call_of(number: object) -> EndedCall:
        changed = {**numbers, "legType": leg_type, field: number}
        return ended_call(read_event(sample("call-ended", **changed), TELEPHONY))

    assert call_of(spelled) == call_of(None)
    assert call_of(None) != call_of(numbers[field])


@pytest.mark.parametrize("number", [493023125042, ["+493023125042"], "+493023125042\ud800"])
def test_a_number_that_sets_the_price_is_text(number: object) -> None:
    body = sample("call-ended", remoteNumber=number)
    why = "remoteNumber: must be an E.164 number of 7 to 15 digits such as +14255550100"
    assert refusal(body, TELEPHONY, ended_call).startswith(why)


@pytest.mark.parametrize("odd", [r'"\ud800"', r'{"\udfff": ["\ud800"]}', "1" * 5_000])
@pytest.mark.parametrize(
    ("name", "door", "to_domain"),
    [
        ("call-ended", TELEPHONY, ended_call),
        ("organization-changed", LICENSING, licensing_event),
        ("credits-configured", BILLING, credit_event),
    ],
)
def test_what_a_field_holds_that_nobody_reads_refuses_no_event(
    name: str, door: Any, to_domain: Any, odd: str
) -> None:
    body = sample(name)
    changed = body.replace('"detail": {', f'"detail": {{"x": {odd}, ')
    assert changed != body
    assert to_domain(read_event(changed, door)) == to_domain(read_event(body, door))


@pytest.mark.parametrize(
    ("name", "door", "field"),
    [
        ("call-ended", TELEPHONY, "callId"),
        ("call-ended", TELEPHONY, "legType"),
        ("organization-changed", LICENSING, "name"),
        ("license-assigned", LICENSING, "userId"),
        ("credit-adjusted", BILLING, "reason"),
    ],
)
def test_half_a_surrogate_pair_in_what_is_read_is_refused_by_name(
    name: str, door: Any, field: str
) -> None:
    why = refusal(sample(name, **{field: "a\ud800"}), door, lambda event: event)
    assert why == f"{field}: is not Unicode text: it has half of a surrogate pair"


@pytest.mark.parametrize(
    ("name", "door", "to_domain", "field", "number"),
    [
        ("call-ended", TELEPHONY, ended_call, "billableSeconds", 61),
        ("credits-configured", BILLING, credit_event, "maxConcurrentCalls", 3),
        ("credits-configured", BILLING, credit_event, "lateUsageHours", 24),
        ("licenses-purchased", LICENSING, licensing_event, "quantity", 20),
        ("organization-changed", LICENSING, licensing_event, "poolMinutesPerLicense", 0),
        ("organization-changed", LICENSING, licensing_event, "poolMinutesUsed", 90),
    ],
)
def test_a_whole_number_may_have_a_fraction_of_zero(
    name: str, door: Any, to_domain: Any, field: str, number: int
) -> None:
    """It is the same content: no processed event and no call differs."""
    written = {
        repr(to_domain(read_event(sample(name, **{field: number * one}), door))) for one in (1, 1.0)
    }
    (read,) = written
    assert f"{number}.0" not in read


def test_an_event_in_another_spelling_is_the_same_event() -> None:
    processed_events = {
        credit_event(
            read_event(sample("credit-purchased", purchaseId=identity), BILLING)
        ).processed_event
        for identity in ("Order-1@shop.example", "order-1@Shop.example")
    }
    (processed_event,) = processed_events
    key = EventIdentity(IdentityKind.PURCHASE, "contoso", "order-1@shop.example")
    assert processed_event.key == key


def test_unknown_fields_are_ignored_and_an_absent_schema_version_means_1() -> None:
    body = sample("call-ended", schemaVersion="REMOVED", dialect="Bavarian")
    assert ended_call(read_event(body, TELEPHONY)) == ended_call(
        read_event(sample("call-ended"), TELEPHONY)
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"organizationId": "REMOVED"}, "organizationId: is required"),
        ({"organizationId": None}, "organizationId: must not be null"),
        ({"organizationId": ""}, "organizationId: must not be empty"),
        ({"callId": "x" * 251}, "callId: must have at most 250 characters"),
        ({"organizerId": "adele "}, "organizerId: must not begin or end with a space"),
        (
            {"organizationId": " contoso"},
            "organizationId: must not begin or end with a space",
        ),
        ({"answeredAt": "REMOVED"}, "answeredAt: is required"),
        (
            {"legType": "carrierPigeon"},
            'legType: must be "tollDialIn", "tollFreeDialIn", "dialOut" or "app"',
        ),
        ({"meetingType": "wild"}, 'meetingType: must be "scheduled" or "adHoc"'),
        (
            {"endedAt": "2026-11-02T09:30:59"},
            "endedAt: has no offset; times are UTC, such as 2026-11-02T09:00:00Z",
        ),
        (
            {"endedAt": 1762074000},
            "endedAt: must be text such as 2026-11-02T09:00:00Z",
        ),
        (
            {"remoteNumber": "030 23125042"},
            "remoteNumber: must be an E.164 number of 7 to 15 digits such as +14255550100 "
            "(a masked tail such as **** is accepted)",
        ),
        (
            {"legType": "tollDialIn", "serviceNumber": "+12", "remoteNumber": "anonymous"},
            "serviceNumber: must be an E.164 number of 7 to 15 digits such as +14255550100 "
            "(a masked tail such as **** is accepted)",
        ),
        ({"meetingId": 211}, "meetingId: must be text"),
        ({"billableSeconds": "61"}, "billableSeconds: must be a whole number from 0 to 86400"),
        ({"billableSeconds": 61.5}, "billableSeconds: must be a whole number from 0 to 86400"),
        ({"billableSeconds": True}, "billableSeconds: must be a whole number from 0 to 86400"),
        (
            {"billableSeconds": -5},
            "billableSeconds: must be a whole number from 0 to 86400",
        ),
        ({"endedAt": "2026-11-02T08:00:00Z"}, "endedAt: lies before answeredAt"),
        ({"schemaVersion": "2"}, 'schemaVersion: must be "1"'),
    ],
)
def test_a_call_that_is_wrong_is_refused_by_the_name_of_the_field(
    changed: dict[str, Any], message: str
) -> None:
    assert refusal(sample("call-ended", **changed), TELEPHONY, ended_call) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "event: must be a JSON object"),
        ("7", "event: must be a JSON object"),
        ("not JSON", "event: is not JSON: JSON is malformed: invalid character (byte 4)"),
        ("", "event: is empty; send a JSON object"),
        (
            "{}",
            "id: is required; time: is required; source: is required; "
            "detail-type: is required; detail: is required",
        ),
    ],
)
def test_what_is_no_event_is_refused(body: str, message: str) -> None:
    assert refusal(body, TELEPHONY, ended_call) == message


@pytest.mark.parametrize("detail", [json.loads(sample("license-assigned"))["detail"], [], None])
def test_a_known_source_with_an_unknown_detail_type_is_refused(detail: object) -> None:
    assigned = json.loads(sample("license-assigned"))
    strange = json.dumps({**assigned, "detail-type": "Gone", "detail": detail})
    assert refusal(strange, LICENSING, licensing_event) == (
        "detail-type: must be one of License Assigned, License Removed, "
        "Licenses Purchased, User Changed, Organization Changed"
    )


def test_an_event_without_a_type_is_refused_by_all_that_it_lacks() -> None:
    nothing = json.dumps({"source": "perminute.licensing"})
    assert refusal(nothing, LICENSING, licensing_event) == (
        "id: is required; time: is required; detail-type: is required; detail: is required"
    )


def test_a_license_that_comes_and_goes_is_a_fact_of_its_user() -> None:
    assigned = licensing_event(read_event(sample("license-assigned"), LICENSING))
    removed = licensing_event(read_event(sample("license-removed"), LICENSING))
    assert [
        (event.change.organization_id, event.change.user_id, fact.attribute, fact.value)
        for event in (assigned, removed)
        for fact in event.change.facts
    ] == [
        ("contoso", "adele", "license:MCOMEETACPEA", True),
        ("contoso", "adele", "license:MCOMEETACPEA", False),
    ]


def test_licenses_that_were_purchased_are_a_fact_of_their_organization() -> None:
    event = licensing_event(read_event(sample("licenses-purchased"), LICENSING))
    assert [
        (event.change.organization_id, event.change.user_id, fact.attribute, fact.value)
        for fact in event.change.facts
    ] == [("contoso", None, "purchased:MCOMEETADV", 115)]


def test_news_was_heard_of_when_it_arrived_or_else_when_it_was_issued() -> None:
    event = read_event(sample("license-assigned"), LICENSING)
    arrived = datetime(2026, 10, 31, tzinfo=UTC)
    assert licensing_event(event, arrived).heard_at == arrived
    assert licensing_event(event).heard_at == datetime(2026, 10, 30, 12, 0, 5, tzinfo=UTC)


def test_minutes_used_before_the_cutover_hold_from_the_start_of_their_month() -> None:
    changed = {"poolMinutesUsed": 45, "effectiveAt": "2026-11-15T08:30:00Z"}
    event = licensing_event(read_event(sample("organization-changed", **changed), LICENSING))
    facts = {one.attribute: (one.value, one.effective_at) for one in event.change.facts}
    assert facts["poolMinutesUsed"] == (45, datetime(2026, 11, 1, tzinfo=UTC))
    assert facts["licensingProgram"] == ("volume", datetime(2026, 11, 15, 8, 30, tzinfo=UTC))


def test_what_changes_about_a_user_or_an_organization_are_facts_and_the_rest_stays() -> None:
    user = licensing_event(read_event(sample("user-changed"), LICENSING)).change
    organization = licensing_event(read_event(sample("organization-changed"), LICENSING)).change
    assert (user.user_id, {fact.attribute: fact.value for fact in user.facts}) == (
        "adele",
        {
            "country": "DE",
            "dialOutPolicy": "anyDestination",
            "tollFreeDialInAllowed": True,
            "monthlySpendLimit": 250_000_000,
        },
    )
    assert (organization.user_id, {f.attribute: f.value for f in organization.facts}) == (
        None,
        {
            "name": "Contoso",
            "licensingProgram": "volume",
            "communicationsCreditsLicense": "organization",
        },
    )


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        (
            "license-assigned",
            {"license": "pigeon"},
            "license: 'pigeon' is not a license that we know; use one of payPerMinute, "
            "subscription, communicationsCredits, MCOMEETACPEA, MCOMEETADV, ENTERPRISEPREMIUM, "
            "SPE_E5, SPE_E5_CALLINGMINUTES, MCOPSTNC, or the GUID of one of them",
        ),
        (
            "user-changed",
            {"country": "XX"},
            "country: must be an ISO 3166-1 alpha-2 code such as DE",
        ),
        (
            "user-changed",
            {"dialOutPolicy": "sometimes"},
            "dialOutPolicy: 'sometimes' is not a policy that we know; use one of anyDestination, "
            "sameCountry, zoneA, none, DialoutCPCandPSTNInternational, "
            "DialoutCPCInternationalPSTNDomestic, DialoutCPCInternationalPSTNDisabled, "
            "DialoutCPCDomesticPSTNInternational, DialoutCPCandPSTNDomestic, "
            "DialoutCPCDomesticPSTNDisabled, DialoutCPCZoneAPSTNInternational, "
            "DialoutCPCZoneAPSTNDomestic, DialoutCPCZoneAPSTNDisabled, "
            "DialoutCPCDisabledPSTNInternational, DialoutCPCDisabledPSTNDomestic, "
            "DialoutCPCandPSTNDisabled",
        ),
        (
            "organization-changed",
            {"licensingProgram": "retail"},
            'licensingProgram: must be "other" or "volume"',
        ),
        (
            "licenses-purchased",
            {"quantity": -1},
            "quantity: must be a whole number from 0 to 100000000",
        ),
        (
            "licenses-purchased",
            {"quantity": 1.5},
            "quantity: must be a whole number from 0 to 100000000",
        ),
        (
            "organization-changed",
            {"poolMinutesPerLicense": -1},
            "poolMinutesPerLicense: must be a whole number from 0 to 1000000",
        ),
        (
            "organization-changed",
            {"poolMinutesUsed": -1},
            "poolMinutesUsed: must be a whole number from 0 to 1000000000",
        ),
    ],
)
def test_a_licensing_event_that_is_wrong_is_refused(
    name: str, changed: dict[str, Any], message: str
) -> None:
    assert refusal(sample(name, **changed), LICENSING, licensing_event) == message


@pytest.mark.parametrize(
    ("answered", "ended", "seconds"),
    [
        ("09:00:00Z", "09:01:00.0010000Z", 61),
        ("09:10:00.1234569Z", "09:11:00.1234571Z", 61),
        ("09:20:00.1234561Z", "09:21:00.1234569Z", 61),
        ("09:20:00.1234569Z", "09:21:00.1234561Z", 60),
        ("09:20:00.1234560Z", "09:21:00.123456Z", 60),
        ("09:20:00.123456789Z", "09:20:00.123456789Z", 0),
        ("09:20:00.123456788Z", "09:20:00.123456789Z", 1),
        ("10:20:00.999999999+01:00", "09:20:01.000000001Z", 1),
    ],
)
def test_a_call_lasts_as_long_as_all_digits_say(answered: str, ended: str, seconds: int) -> None:
    times = {"answeredAt": f"2026-11-02T{answered}", "endedAt": f"2026-11-02T{ended}"}
    body = sample("call-ended", **times, billableSeconds="REMOVED")
    assert ended_call(read_event(body, TELEPHONY)).call.connected_seconds == seconds
    billed = ended_call(
        read_event(sample("call-ended", **times, billableSeconds=7), TELEPHONY)
    ).call
    assert (billed.connected_seconds, billed.exact_seconds) == (7, None)


def test_a_call_that_ends_before_its_answer_by_a_nanosecond_is_refused() -> None:
    times = {
        "answeredAt": "2026-11-02T09:20:00.12345678Z",
        "endedAt": "2026-11-02T09:20:00.1234567Z",
    }
    body = sample("call-ended", **times, billableSeconds="REMOVED")
    assert refusal(body, TELEPHONY, ended_call) == "endedAt: lies before answeredAt"


def test_another_length_by_less_than_a_microsecond_is_named_in_plain_words() -> None:
    recorded = rating("call-1", 0, ended_at=ENDED).usage()
    refused = against_recorded_call(replace(recorded.call, exact_seconds=601), recorded)
    assert "is recorded with another time below the microsecond;" in str(refused)


def test_digits_that_do_not_change_how_long_a_call_was_change_no_content() -> None:
    def said(ended: str) -> EndedCall:
        body = sample("call-ended", endedAt=f"2026-11-02T{ended}", billableSeconds="REMOVED")
        return ended_call(read_event(body, TELEPHONY))

    assert said("09:30:59.1Z") == said("09:30:59.1000000Z") == said("09:30:59.1000004Z")


@pytest.mark.parametrize(
    "name",
    [
        "license-assigned",
        "license-removed",
        "licenses-purchased",
        "user-changed",
        "organization-changed",
    ],
)
def test_what_takes_effect_before_the_horizon_is_refused_by_name(name: str) -> None:
    issued = format_instant(read_event(sample(name), LICENSING).time - timedelta(days=1000))
    first = parse_instant(issued) - RERATING_HORIZON

    def refused(effective_at: datetime, **said: str) -> str | None:
        times = {"effectiveAt": format_instant(effective_at), "issuedAt": issued}
        changed = sample(name, **{**times, **said})
        try:
            check_within_horizon(read_event(changed, LICENSING), RERATING_HORIZON)
        except Refused as error:
            return str(error)
        return None

    assert refused(first) is None
    assert refused(first + timedelta(days=800)) is None
    too_old = (
        "effectiveAt: lies more than 400 days before the event was issued; send the event with a "
        "later effectiveAt, or raise ReratingHorizonDays and redrive it"
    )
    assert refused(first - timedelta(microseconds=1)) == too_old
    # Without `issuedAt` it was issued at its own time.
    assert refused(first + timedelta(days=1000), issuedAt="REMOVED") is None
    assert refused(first, issuedAt="REMOVED") == too_old


def test_a_purchase_is_known_by_its_purchase_id_and_by_what_it_said() -> None:
    event = credit_event(read_event(sample("credit-purchased"), BILLING))
    at = datetime(2026, 10, 30, 12, 2, tzinfo=UTC)
    content = (
        '{"detail-type": "Credit Purchased", "schemaVersion": "1", "organizationId": "contoso", '
        '"purchaseId": "po-1001", "amount": "250", "currency": "USD", '
        '"purchasedAt": "2026-10-30T12:02:00Z"}'
    )
    assert event == CreditEvent(
        organization_id="contoso",
        change=Purchase(
            purchase_id="po-1001",
            amount_micros=250_000_000,
            currency="USD",
            purchased_at=at,
            expires_at=datetime(2027, 10, 30, 12, 2, tzinfo=UTC),
        ),
        processed_event=ProcessedEvent(
            EventIdentity(IdentityKind.PURCHASE, "contoso", "po-1001"), content
        ),
        issued_at=at,
        producer=Producer("123456789012", "perminute.billing"),
    )


def test_the_same_said_in_another_way_is_the_same_content() -> None:
    first = credit_event(read_event(sample("credit-purchased"), BILLING))
    again = sample("credit-purchased", amount="250", purchasedAt="2026-10-30T13:02:00.000+01:00")
    assert credit_event(read_event(again, BILLING)).processed_event == first.processed_event


def test_settings_are_kept_whole() -> None:
    event = credit_event(read_event(sample("credits-configured"), BILLING))
    assert event.change == CreditSettings(
        configured_at=datetime(2026, 10, 30, 12, 2, 59, 700_000, tzinfo=UTC),
        event_id="console-4711",
        has_change_id=True,
        currency="USD",
        low_balance_thresholds_micros=(100_000_000, 20_000_000),
        auto_recharge=AutoRecharge(
            trigger_micros=50_000_000,
            recharge_micros=200_000_000,
            monthly_limit_micros=1_000_000_000,
        ),
        daily_spend_limit_micros=500_000_000,
        prefix_hourly_spend_limit_micros=50_000_000,
        max_concurrent_calls=200,
        monthly_budget_micros=1_500_000_000,
    )


@pytest.mark.parametrize(
    ("name", "door", "to_domain"),
    [
        ("license-assigned", LICENSING, licensing_event),
        ("license-removed", LICENSING, licensing_event),
        ("licenses-purchased", LICENSING, licensing_event),
        ("user-changed", LICENSING, licensing_event),
        ("organization-changed", LICENSING, licensing_event),
        ("credits-configured", BILLING, credit_event),
    ],
)
def test_a_change_id_is_the_identity_of_an_event_under_any_event_id(
    name: str, door: Any, to_domain: Any
) -> None:
    sent = json.loads(sample(name, changeId="CHANGE@hr", issuedAt="2026-10-30T11:00:00.5Z"))
    copy = {**sent, "id": "of-a-replay", "time": "2026-10-30T23:00:00Z"}
    first, again = (to_domain(read_event(json.dumps(body), door)) for body in (sent, copy))
    assert first.processed_event == again.processed_event
    assert first.processed_event.key == EventIdentity(IdentityKind.CHANGE, "contoso", "change@hr")
    assert first.change == again.change
    other = to_domain(read_event(sample(name, changeId="change@hr", issuedAt="REMOVED"), door))
    assert other.processed_event.key == first.processed_event.key
    assert other.processed_event.content != first.processed_event.content


def test_an_event_without_a_change_id_is_known_by_its_id_even_if_a_change_id_reads_the_same() -> (
    None
):
    body = json.loads(sample("license-removed"))
    plain = licensing_event(read_event(json.dumps(body), LICENSING))
    named = sample("license-removed", changeId=body["id"])
    change = licensing_event(read_event(named, LICENSING))
    assert plain.processed_event.key == EventIdentity(IdentityKind.EVENT, "contoso", body["id"])
    assert change.processed_event.key == EventIdentity(IdentityKind.CHANGE, "contoso", body["id"])
    assert plain.change != change.change


@pytest.mark.parametrize(
    ("name", "kind", "identity"),
    [
        ("credit-purchased", IdentityKind.PURCHASE, "po-1001"),
        ("credit-adjusted", IdentityKind.ADJUSTMENT, "goodwill-1"),
        ("recharge-failed", IdentityKind.RECHARGE_FAILURE, "d4c1c3a5-9d54-5b52-8f6a-6d2c6a0c0b11"),
    ],
)
def test_what_has_an_identity_of_its_own_keeps_it_beside_a_change_id(
    name: str, kind: IdentityKind, identity: str
) -> None:
    processed_events = {
        credit_event(read_event(sample(name, changeId=change_id), BILLING)).processed_event
        for change_id in ("REMOVED", "a", "b")
    }
    (processed_event,) = processed_events
    assert processed_event.key == EventIdentity(kind, "contoso", identity)


@pytest.mark.parametrize(
    ("name", "door", "to_domain"),
    [
        ("license-assigned", LICENSING, licensing_event),
        ("organization-changed", LICENSING, licensing_event),
        ("credits-configured", BILLING, credit_event),
        ("credit-purchased", BILLING, credit_event),
        ("credit-adjusted", BILLING, credit_event),
        ("recharge-failed", BILLING, credit_event),
    ],
)
def test_issued_at_lies_at_most_five_minutes_after_the_event(
    name: str, door: Any, to_domain: Any
) -> None:
    time = datetime.fromisoformat(json.loads(sample(name))["time"])
    latest = time + timedelta(minutes=5)
    to_domain(read_event(sample(name, issuedAt=latest.isoformat()), door))
    later = latest + timedelta(microseconds=1)
    assert refusal(sample(name, issuedAt=later.isoformat()), door, to_domain) == (
        "issuedAt: lies more than 5 minutes after the event's time; set the sender's clocks "
        "right and send it again"
    )
    said = refusal(sample(name, issuedAt="2026-10-30T12:00:00.5"), door, to_domain)
    assert said == "issuedAt: has no offset; times are UTC, such as 2026-11-02T09:00:00Z"


def test_a_fact_is_as_old_as_its_decision() -> None:
    issued = datetime(2026, 10, 29, 9, 0, 0, 250_000, tzinfo=UTC)
    body = sample("license-assigned", issuedAt="2026-10-29T10:00:00.250+01:00")
    (fact,) = licensing_event(read_event(body, LICENSING)).change.facts
    assert fact.issued_at == issued


def test_credit_is_booked_at_the_time_of_its_event_and_in_the_order_of_the_decisions() -> None:
    body = json.loads(sample("credits-configured"))
    event = credit_event(read_event(json.dumps(body), BILLING))
    assert event.issued_at == datetime.fromisoformat(body["time"])
    assert event.decided_at == datetime(2026, 10, 30, 12, 2, 59, 700_000, tzinfo=UTC)


def test_an_adjustment_may_be_negative() -> None:
    event = credit_event(read_event(sample("credit-adjusted"), BILLING))
    assert event.change == Adjustment(
        adjustment_id="goodwill-1",
        amount_micros=-1_250_000,
        expires_at=datetime(2027, 11, 3, 10, tzinfo=UTC),
    )
    assert event.processed_event.key == EventIdentity(
        IdentityKind.ADJUSTMENT, "contoso", "goodwill-1"
    )


def test_a_purchase_may_name_its_end_and_the_recharge_that_it_answers() -> None:
    body = sample("credit-purchased", expiresAt="9999-12-31T23:59:59Z", rechargeId="r-1")
    change = credit_event(read_event(body, BILLING)).change
    assert isinstance(change, Purchase)
    assert change.expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert change.recharge_id == "r-1"


def test_a_failed_recharge_is_known_by_its_recharge() -> None:
    event = credit_event(read_event(sample("recharge-failed"), BILLING))
    identity = "d4c1c3a5-9d54-5b52-8f6a-6d2c6a0c0b11"
    assert event.change == FailedRecharge(recharge_id=identity, reason="the card has expired")
    assert event.processed_event.key == EventIdentity(
        IdentityKind.RECHARGE_FAILURE, "contoso", identity
    )


def test_auto_recharge_that_is_switched_off_has_no_effect() -> None:
    off = {"enabled": False, "triggerAmount": "50", "rechargeAmount": "200"}
    change = credit_event(
        read_event(sample("credits-configured", autoRecharge=off), BILLING)
    ).change
    assert isinstance(change, CreditSettings)
    assert change.auto_recharge is None


def test_a_recharge_amount_may_be_the_minimum_purchase_and_a_purchase_less() -> None:
    auto = {"enabled": True, "triggerAmount": "5", "rechargeAmount": "50", "minimumPurchase": "50"}
    change = credit_event(
        read_event(sample("credits-configured", autoRecharge=auto), BILLING)
    ).change
    assert isinstance(change, CreditSettings)
    assert change.auto_recharge == AutoRecharge(
        trigger_micros=5_000_000, recharge_micros=50_000_000
    )
    # What is paid is never refused: a minimum is none of a purchase's business.
    paid = credit_event(read_event(sample("credit-purchased", amount="0.01"), BILLING))
    assert isinstance(paid.change, Purchase)


NO_AMOUNT = "must be a decimal string with at most 6 decimals, such as 0.026"


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        (
            "credit-purchased",
            {"purchasedAt": "9999-01-01T00:00:00Z"},
            "purchasedAt: must lie in the years 1970 to 9990",
        ),
        ("recharge-failed", {"reason": ""}, "reason: must not be empty"),
        ("credit-purchased", {"amount": "NaN"}, f"amount: {NO_AMOUNT}"),
        ("credit-purchased", {"amount": 250}, "amount: must be text such as 0.026"),
        ("credit-purchased", {"amount": "-1"}, "amount: must be greater than 0"),
        ("credit-purchased", {"amount": "0"}, "amount: must be greater than 0"),
        (
            "credit-purchased",
            {"currency": "usd"},
            "currency: must be an ISO 4217 code such as USD",
        ),
        (
            "credit-purchased",
            {"currency": "UDS"},
            "currency: must be an ISO 4217 code such as USD",
        ),
        (
            "credit-purchased",
            {"expiresAt": "2026-10-30T12:02:00Z"},
            "expiresAt: must lie after purchasedAt",
        ),
        ("credit-adjusted", {"amount": "0.00"}, "amount: must not be 0"),
        (
            "credits-configured",
            {"lowBalanceThresholds": ["1"] * 21},
            "lowBalanceThresholds: must be a list of at most 20 items",
        ),
        ("credit-adjusted", {"amount": "1e3"}, f"amount: {NO_AMOUNT}"),
        (
            "credits-configured",
            {"lowBalanceThresholds": ["5", "-5"]},
            "lowBalanceThresholds.1: must not be negative",
        ),
        (
            "credits-configured",
            {"autoRecharge": {"enabled": True}},
            "autoRecharge: triggerAmount and rechargeAmount are required when enabled is true",
        ),
        (
            "credits-configured",
            {
                "autoRecharge": {
                    "enabled": True,
                    "triggerAmount": "50",
                    "rechargeAmount": "49.99",
                    "minimumPurchase": "50",
                }
            },
            "autoRecharge.rechargeAmount: must be at least minimumPurchase, 50",
        ),
        (
            "credits-configured",
            {
                "autoRecharge": {
                    "enabled": False,
                    "rechargeAmount": "0.01",
                    "minimumPurchase": "0.5",
                }
            },
            "autoRecharge.rechargeAmount: must be at least minimumPurchase, 0.5",
        ),
        (
            "credits-configured",
            {
                "autoRecharge": {
                    "enabled": False,
                    "rechargeAmount": "0.01",
                    "minimumPurchase": "-1",
                }
            },
            "autoRecharge.minimumPurchase: must not be negative",
        ),
    ],
)
def test_a_billing_event_that_is_wrong_is_refused(
    name: str, changed: dict[str, Any], message: str
) -> None:
    assert refusal(sample(name, **changed), BILLING, credit_event) == message


@pytest.mark.parametrize(
    ("account", "known"),
    [
        ("123456789012", "123456789012"),
        (None, None),
        ("", None),
        ("12345678901", None),
        (123456789012, None),
        ({"id": "123456789012"}, None),
    ],
)
def test_the_account_that_sent_money_is_known_and_any_other_refuses_none(
    account: object, known: str | None
) -> None:
    bought = {**json.loads(sample("credit-purchased")), "account": account}
    event = credit_event(read_event(json.dumps(bought), BILLING))
    assert event.producer == Producer(known, "perminute.billing")
    del bought["account"]
    unsaid = credit_event(read_event(json.dumps(bought), BILLING))
    assert unsaid.producer == Producer(None, "perminute.billing")
    # A copy that another account sends is the same event.
    assert unsaid.processed_event == event.processed_event
