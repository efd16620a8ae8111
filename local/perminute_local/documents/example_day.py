"""Makes the events of `examples/day`; `example_day_records` divides them into files.

A working day of four organizations, made from a seed so that it can be made again. All numbers
are from ranges that regulators reserve for drama. Contoso recharges automatically, and some of its
credit expires at one o'clock; Grady's license, effective at ten, is reported at half past three.
Fabrikam runs out of credit in the afternoon, and Northwind's admin is notified all day of what is
still missing. Contoso and Northwind have a few subscriptions, whose minutes for dial-out do not
last the day. Woodgrove has three dollars and a bridge that asks before it connects a call: none of
its calls costs more than is there. In the evening somebody asks what Contoso's organizers cost.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from perminute.domain.credit.recharge import recharge_id
from perminute.domain.values.times import format_instant

SEED = 20261102
CALLS = {"contoso": 170, "fabrikam": 90, "northwind": 50}
WORKING_DAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
SETTING_UP = WORKING_DAY - timedelta(days=3)

CONTOSO, FABRIKAM, NORTHWIND, WOODGROVE = "contoso", "fabrikam", "northwind", "woodgrove"
ORGANIZERS = {
    CONTOSO: ("adele", "alex", "diego", "enrico", "grady", "joni"),
    FABRIKAM: ("lee", "lidia", "lynne"),
    NORTHWIND: ("megan", "miriam", "nestor"),
}
TOLL = ("+14255550100", "+442079460100", "+493023125100", "+46851972000")
TOLL_FREE = ("+18005550199", "+448081570100", "+4620751000", "+498001110550")
DESTINATIONS = (
    "+14255550142",
    "+12065550118",
    "+16045550173",
    "+442079460321",
    "+447700900123",
    "+493023125042",
    "+33199001234",
    "+33639981234",
    "+46317401234",
    "+81312345678",
    "+971212345678",
)

OUT = {
    "answeredAt": "2026-11-02T15:00:00Z",
    "endedAt": "2026-11-02T15:10:00Z",
    "legType": "dialOut",
}
"""A dial-out of ten minutes."""

Event = dict[str, Any]


class Day:
    """Collects events, each with an id of its own and the time at which it was sent."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - reproducible, guards nothing
        self.events: list[Event] = []

    def send(self, source: str, detail_type: str, at: datetime, **detail: object) -> Event:
        """Add an event."""
        event = {
            "id": f"{source[0]}-{len(self.events) + 1:04d}",
            "source": f"perminute.{source}",
            "detail-type": detail_type,
            # A bus sends the time of an event in whole seconds.
            "time": format_instant(at.replace(microsecond=0)),
            "detail": {"schemaVersion": "1", **detail},
        }
        self.events.append(event)
        return event

    def organization(self, organization: str, at: datetime, **changed: str) -> None:
        """Change an organization."""
        since = {"effectiveAt": format_instant(at)}
        who = {"organizationId": organization}
        self.send("licensing", "Organization Changed", at, **who, **since, **changed)

    def user(
        self, organization: str, user: str, country: str, at: datetime, *names: str, **more: object
    ) -> None:
        """Change a user, and assign the licenses of these names."""
        who = {"organizationId": organization, "userId": user, "country": country}
        since = {"effectiveAt": format_instant(at)}
        self.send("licensing", "User Changed", at, **who, **since, **more)
        for name in names:
            self.license("License Assigned", organization, user, at, name)

    def license(self, change: str, organization: str, user: str, at: datetime, name: str) -> Event:
        """Assign or remove a license."""
        who = {"organizationId": organization, "userId": user}
        since = {"effectiveAt": format_instant(at)}
        return self.send("licensing", change, at, **who, license=name, **since)

    def configure(self, organization: str, at: datetime, **settings: object) -> None:
        """Configure the credit."""
        who = {"organizationId": organization}
        self.send("billing", "Credits Configured", at, **{**who, "currency": "USD", **settings})

    def purchase(
        self, organization: str, purchase: str, amount: str, at: datetime, **more: str
    ) -> None:
        """Buy credit."""
        self.send(
            "billing",
            "Credit Purchased",
            at,
            organizationId=organization,
            purchaseId=purchase,
            amount=amount,
            currency="USD",
            **{"purchasedAt": format_instant(at), **more},
        )

    def call(self, call: str, organization: str, organizer: str, **parts: Any) -> None:  # noqa: ANN401 - fields of an event
        """End a call; its event is sent a second later."""
        ended = datetime.fromisoformat(parts["endedAt"])
        self.send(
            "telephony",
            "Call Ended",
            ended + timedelta(seconds=1),
            callId=call,
            organizationId=organization,
            organizerId=organizer,
            **{"meetingId": "m-1", "meetingType": "scheduled", **parts},
        )

    def in_order(self) -> list[Event]:
        """Return the events as telephony and licensing sent them."""
        return sorted(self.events, key=lambda event: str(event["time"]))


def make_day() -> list[Event]:
    """Make the whole day."""
    day = Day(SEED)
    _licenses(day)
    _credit(day)
    for organization, calls in CALLS.items():
        _calls(day, organization, calls)
    _particular_calls(day)
    _trouble(day)
    _asked_first(day)
    _priced_in_euros(day)
    _saved_twice(day)
    _reported(day)
    return day.in_order()


def _licenses(day: Day) -> None:
    at = SETTING_UP
    day.organization(CONTOSO, at, name="Contoso", licensingProgram="volume")
    day.organization(
        FABRIKAM,
        at,
        name="Fabrikam",
        licensingProgram="volume",
        communicationsCreditsLicense="organization",
    )
    day.organization(NORTHWIND, at, name="Northwind", licensingProgram="other")
    for user in ("adele", "alex", "diego"):
        day.user(CONTOSO, user, "US", at, "payPerMinute", "communicationsCredits")
    day.user(CONTOSO, "enrico", "IT", at, "SPE_E5", "MCOPSTNC")
    day.user(CONTOSO, "grady", "GB", at, "MCOMEETACPEA")
    day.user(CONTOSO, "joni", "SE", at)
    day.user(FABRIKAM, "lee", "DE", at, "payPerMinute")
    day.user(FABRIKAM, "lidia", "FR", at, "payPerMinute")
    day.user(FABRIKAM, "lynne", "IN", at, "payPerMinute")
    day.user(NORTHWIND, "megan", "CA", at, "payPerMinute", "communicationsCredits")
    day.user(NORTHWIND, "miriam", "CA", at, "subscription", "communicationsCredits")
    day.user(NORTHWIND, "nestor", "CA", at, "subscription")
    noon = WORKING_DAY.replace(hour=12)
    day.license("License Removed", CONTOSO, "diego", noon, "payPerMinute")
    day.organization(NORTHWIND, noon, licensingProgram="volume")
    _policies(day, at)
    for organization, name, quantity in ((CONTOSO, "SPE_E5", 1), (NORTHWIND, "subscription", 2)):
        bought = {"organizationId": organization, "license": name, "quantity": quantity}
        since = {"effectiveAt": format_instant(at)}
        day.send("licensing", "Licenses Purchased", at, **bought, **since)
    ten, heard = WORKING_DAY.replace(hour=10), WORKING_DAY.replace(hour=15, minute=30)
    late = day.license("License Assigned", CONTOSO, "grady", heard, "communicationsCredits")
    late["detail"]["effectiveAt"] = format_instant(ten)


def _policies(day: Day, at: datetime) -> None:
    """Alex may call his own country only; nobody may call Lidia's meetings at others' expense."""
    day.user(CONTOSO, "alex", "US", at, dialOutPolicy="DialoutCPCDomesticPSTNInternational")
    day.user(FABRIKAM, "lidia", "FR", at, tollFreeDialInAllowed=False)


def _credit(day: Day) -> None:
    """Contoso recharges itself and has credit from last year; Fabrikam only has thresholds."""
    at = SETTING_UP + timedelta(hours=1)
    # Warned while there is time to act, and once more shortly before the end.
    thresholds = {"lowBalanceThresholds": ["150", "20"]}
    recharge = {"enabled": True, "triggerAmount": "150", "rechargeAmount": "150"}
    day.configure(CONTOSO, at, **thresholds, autoRecharge=recharge)
    day.configure(FABRIKAM, at, **thresholds, autoRecharge={"enabled": False})
    last_year = WORKING_DAY.replace(year=2025, hour=13)
    day.purchase(CONTOSO, "po-0907", "80.00", at, purchasedAt=format_instant(last_year))
    later = format_instant(last_year + timedelta(days=18))
    day.purchase(CONTOSO, "po-0921", "60.00", at, purchasedAt=later)
    day.purchase(CONTOSO, "po-1001", "100.00", at + timedelta(minutes=1))
    day.purchase(FABRIKAM, "po-2001", "240.00", at + timedelta(minutes=2))
    day.purchase(NORTHWIND, "po-3001", "100.00", WORKING_DAY.replace(hour=10))
    day.send(
        "billing",
        "Credit Adjusted",
        WORKING_DAY.replace(hour=17),
        organizationId=CONTOSO,
        adjustmentId="goodwill-1",
        amount="1.25",
        reason="bad line in meeting m-contoso-003",
    )
    recharged = WORKING_DAY.replace(hour=16, minute=30)
    day.purchase(CONTOSO, "po-1002", "150.00", recharged, rechargeId=recharge_id(CONTOSO, 1))


def _calls(day: Day, organization: str, count: int) -> None:
    """Spread meetings over the day; the calls of one meeting end within moments of each other."""
    made = meeting = 0
    while made < count:
        meeting += 1
        starts = WORKING_DAY + timedelta(minutes=5 * day.chance.randrange(0, 110))
        ends = starts + timedelta(minutes=day.chance.choice((15, 25, 30, 45, 55)))
        organizer = day.chance.choice(ORGANIZERS[organization])
        for _ in range(min(day.chance.randrange(1, 7), count - made)):
            made += 1
            answered = starts + timedelta(seconds=day.chance.randrange(-90, 400))
            ended = ends + timedelta(seconds=day.chance.randrange(-20, 3))
            day.call(
                f"{organization}-{made:04d}",
                organization,
                organizer,
                meetingId=f"m-{organization}-{meeting:03d}",
                answeredAt=format_instant(answered),
                endedAt=format_instant(ended),
                **_how_joined(day.chance),
            )


def _how_joined(chance: random.Random) -> dict[str, str]:
    leg_type = chance.choices(
        ("tollDialIn", "tollFreeDialIn", "dialOut", "app"), weights=(40, 20, 35, 5)
    )[0]
    match leg_type:
        case "tollDialIn":
            return {"legType": leg_type, "serviceNumber": chance.choice(TOLL)}
        case "tollFreeDialIn":
            return {"legType": leg_type, "serviceNumber": chance.choice(TOLL_FREE)}
        case "dialOut":
            return {"legType": leg_type, "remoteNumber": chance.choice(DESTINATIONS)}
        case _:
            return {"legType": "app"}


def _priced_in_euros(day: Day) -> None:
    """A carrier whose prices are in euros reaches Italy; Contoso's credit is kept in dollars."""
    day.call("contoso-euros", CONTOSO, "adele", **OUT, remoteNumber="+39061234567")


def _particular_calls(day: Day) -> None:
    landline = {"remoteNumber": "+14255550142"}
    day.call("contoso-premium", CONTOSO, "adele", **OUT, remoteNumber="+449098790100")
    day.call("contoso-satellite", CONTOSO, "adele", **OUT, remoteNumber="+881612345678")
    day.call("contoso-masked", CONTOSO, "alex", **OUT, remoteNumber="+49302312****")
    day.call("contoso-ad-hoc", CONTOSO, "adele", **OUT, **landline, meetingType="adHoc")
    day.call("contoso-busy", CONTOSO, "adele", **{**OUT, "answeredAt": None}, **landline)
    billable = {"remoteNumber": "+442079460321", "billableSeconds": 540}
    day.call("contoso-billable", CONTOSO, "alex", **OUT, **billable)
    for number in range(40):
        day.call(
            f"fabrikam-town-hall-{number:02d}",
            FABRIKAM,
            "lee",
            legType="tollFreeDialIn",
            serviceNumber=TOLL_FREE[number % len(TOLL_FREE)],
            meetingId="m-fabrikam-town-hall",
            answeredAt="2026-11-02T16:01:00Z",
            endedAt=f"2026-11-02T16:45:00.{number:02d}0Z",
        )


def _trouble(day: Day) -> None:
    """Repeat some deliveries, contradict one, and send what no system should."""
    calls = [event for event in day.events if event["detail-type"] == "Call Ended"]
    for event in day.chance.sample(calls, 12):
        later = timedelta(seconds=day.chance.choice((0, 20, 7200)))
        at = datetime.fromisoformat(event["time"]) + later
        day.events.append({**event, "time": format_instant(at)})
    sound = calls[3]
    day.events += [
        _broken(sound, "x-conflict", remoteNumber="+14255550111", legType="dialOut"),
        _broken(sound, "x-negative", callId="x-2", endedAt="2026-11-02T07:00:00Z"),
        _broken(sound, "x-too-long", callId="x-3", answeredAt="2026-10-31T14:00:00Z"),
        _broken(sound, "x-leg-type", callId="x-4", legType="carrierPigeon"),
        _broken(sound, "x-number", callId="x-5", legType="dialOut", remoteNumber="555-0100"),
        _broken(sound, "x-no-offset", callId="x-6", endedAt="2026-11-02T15:10:00"),
        _broken(sound, "x-nobody", callId="x-7", organizationId=None),
    ]
    purchase = next(event for event in day.events if event["detail-type"] == "Credit Purchased")
    day.events += [
        _broken(purchase, "x-currency", purchaseId="po-9001", currency="EUR"),
        _broken(purchase, "x-nan", purchaseId="po-9002", amount="NaN"),
    ]
    assigned = next(event for event in day.events if event["detail-type"] == "License Assigned")
    day.events += [
        _broken(assigned, "x-license", license="MCOMEETPIGEON"),
        {**assigned, "id": "x-poison", "source": "perminute.telephony", "detail": ["not", "this"]},
        {**assigned, "id": "x-lost", "source": "perminute.carrierPigeons"},
    ]


def _asked_first(day: Day) -> None:
    """Woodgrove's bridge asks: the last credit, a premium number, a limit of calls at once."""
    at = SETTING_UP + timedelta(hours=2)
    day.organization(WOODGROVE, at, name="Woodgrove", licensingProgram="volume")
    day.user(WOODGROVE, "wanda", "US", at, "payPerMinute", "communicationsCredits")
    day.configure(WOODGROVE, at, maxConcurrentCalls=2, dailySpendLimit="100")
    day.purchase(WOODGROVE, "po-4001", "3.00", at)
    mobile, landline, premium = "+447700900123", "+493023125042", "+19005550100"
    begins = WORKING_DAY.replace(hour=9, minute=30)
    _ask(day, "authorize", begins, "w-1", 0, mobile, requestedSeconds=1800)
    _ask(day, "authorize", begins + timedelta(seconds=5), "w-2", 0, premium)
    _ask(day, "authorize", begins + timedelta(seconds=9), "w-3", 0, landline)
    _ask(day, "authorize", begins + timedelta(seconds=12), "w-4", 0, landline)
    _ask(day, "update", begins + timedelta(seconds=309), "w-3", 1, usedSeconds=300)
    _ask(day, "release", begins + timedelta(seconds=430), "w-1", 1, usedSeconds=418)
    _ask(day, "authorize", begins + timedelta(seconds=440), "w-4", 1, landline)
    for call, number, answered, seconds in (
        ("w-1", mobile, 12, 418),
        ("w-3", landline, 15, 424),
        ("w-4", landline, 447, 121),
    ):
        answered_at = begins + timedelta(seconds=answered)
        times = {
            "answeredAt": format_instant(answered_at),
            "endedAt": format_instant(answered_at + timedelta(seconds=seconds)),
        }
        day.call(call, WOODGROVE, "wanda", legType="dialOut", remoteNumber=number, **times)
    _ask(day, "release", begins + timedelta(seconds=580), "w-4", 2, usedSeconds=121)


def _saved_twice(day: Day) -> None:
    """Woodgrove had saved another limit moments before, and an archive says so again at noon."""
    at = SETTING_UP + timedelta(hours=2)
    for sent_at in (at, WORKING_DAY.replace(hour=12)):
        day.send(
            "billing",
            "Credits Configured",
            sent_at,
            organizationId=WOODGROVE,
            issuedAt=format_instant(at - timedelta(milliseconds=400)),
            changeId="save-1",
            currency="USD",
            maxConcurrentCalls=9,
            dailySpendLimit="100",
        )


def _reported(day: Day) -> None:
    november_2 = {"from": "2026-11-02", "to": "2026-11-03"}
    body = {"organizationId": CONTOSO, **november_2, "groupBy": ["organizerId"]}
    day.events.append({"request": "usage", "time": "2026-11-02T18:00:00Z", "body": body})


def _ask(  # noqa: PLR0913, PLR0917 - the parts of a request
    day: Day,
    request: str,
    at: datetime,
    call: str,
    sequence: int,
    number: str | None = None,
    **more: int,
) -> None:
    """Add a request of a bridge; with a number, it says whom the call is to reach."""
    facts = {
        "organizerId": "wanda",
        "meetingId": "m-woodgrove-001",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": number,
    }
    body = {"organizationId": WOODGROVE, "callId": call, "sequence": sequence, **more}
    asked = {"request": request, "time": format_instant(at), "body": body}
    day.events.append(asked | ({"body": body | facts} if number else {}))


def _broken(event: Event, event_id: str, **wrong: object) -> Event:
    return {**event, "id": event_id, "detail": {**event["detail"], **wrong}}
