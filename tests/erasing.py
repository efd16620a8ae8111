"""An organization with several users, of whom one is erased, or all are."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from builders import ANSWERED, ENDED, ORGANIZATION, ORGANIZER, WITHOUT_WAITING, fact
from masking import LATER, MaskedWorld

from perminute.application.erase_calls import EraseCalls
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.licensing.attributes import COUNTRY, license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.notifications.digests import CallGroup
from perminute.domain.reference.licenses import product_named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stores import Stores

    from perminute.application.erase_calls import Erased
    from perminute.ports.privacy import OtherRecords

PAYS = license_attribute(product_named("payPerMinute"))
CREDITS = license_attribute(product_named("communicationsCredits"))
OTHER, UNLICENSED = "diego", "nobody-known"
CHANGE_OF_OTHER = EventIdentity(IdentityKind.CHANGE, ORGANIZATION, "hr-7")
MEETING = "secret-meeting"
NUMBER, OTHER_NUMBER, THIRD_NUMBER = "+493023125042", "+493023125043", "+493023125044"


class ErasedWorld(MaskedWorld):
    """The functions over the stores, with calls of a user, of another one, and of a stranger."""

    def __init__(self, stores: Stores, organization: str) -> None:
        super().__init__(stores, organization)
        self.erase_calls = EraseCalls(
            stores.credit,
            stores.licensing,
            stores.content,
            stores.erasure,
            stores.keys,
            stores.reratings,
            WITHOUT_WAITING,
            archive=self.archive,
        )
        facts = fact(PAYS, value=True), fact(CREDITS, value=True), fact(COUNTRY, "DE")
        key = CHANGE_OF_OTHER._replace(organization_id=organization)
        event = ProcessedEvent(key, json.dumps({"userId": OTHER}))
        change = LicensingChange(organization, OTHER, facts)
        stores.licensing.record(organization, [(change, event)])
        for number in range(3):
            self.charged(f"call-{number}", meeting_id=MEETING)
        self.charged("other", organizer_id=OTHER, remote_number=OTHER_NUMBER)
        # A call of a user without a license is notified of.
        self.charged("unlicensed", organizer_id=UNLICENSED, remote_number=THIRD_NUMBER)
        # That credit was set up calls for it.
        self.rate_again()

    def erase(self, user: str | None = ORGANIZER) -> Erased:
        return self.erase_calls(self.organization, user, LATER)

    def without_licenses(self, user: str = ORGANIZER, issued: int = 1) -> None:
        """Have a user lose the licenses on the day after the calls."""
        at = ANSWERED + timedelta(days=1, seconds=issued)
        facts = [
            replace(fact(name, value=False, since=at), issued_at=at) for name in (PAYS, CREDITS)
        ]
        self.state(*facts, user=user, name=f"gone-{issued}")

    def erase_others(
        self,
        names: Mapping[str, str],
        *,
        write: bool,
        before: datetime = LATER,
        everything: bool = False,
    ) -> OtherRecords:
        return self.stores.erasure.erase_others(
            self.organization, names, before=before, everything=everything, write=write
        )

    def counted_users(self) -> set[str]:
        """Name the users whose licenses count; raises if not all their facts are found."""
        account = self.stores.credit.account(self.organization)
        users = self.stores.licensing.users(account)
        return {user for user, timeline in users.items() if timeline.facts}

    def publish_first_calls(self) -> None:
        """Do as the publisher does with calls of which the first is notified of at once."""
        digests = self.stores.digests
        records = digests.records(self.organization, ENDED.date(), limit=10)
        calls = [call for record in records for call in record.calls]
        digests.claim(self.organization, {CallGroup.of(one.notification): one for one in calls})

    def forget_calls_to_count(self) -> None:
        """Have a digest count the calls that wait for it, and none of them."""
        digests = self.stores.digests
        while day := digests.first_day(self.organization):
            records = digests.records(self.organization, day, limit=10)
            assert digests.count(self.organization, records, [])

    def stored(self) -> str:
        """All that is stored of the organization but its key, as text."""
        stored = self.stores.stored(self.organization)
        # The id of the event that stated his licenses: ids that senders choose stay.
        return stored.replace(f"{self.organization}-{ORGANIZER}", "")

    def money(self) -> tuple[object, ...]:
        """All that an erasure must leave as it is."""
        self.check()
        statement = self.stores.credit.statement(self.organization)
        account = statement.account
        return account.balance_micros, account.lots, statement.entries, statement.charges_micros
