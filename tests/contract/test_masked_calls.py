"""Calls whose numbers are masked: recognized again, rated again, and never unmasked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, LONG_AGO, ORGANIZER, fact
from masking import KEPT, LATER, MaskedWorld

from perminute.application.results import Duplicate
from perminute.domain.credit.transaction import AccountChanged, ReplacedUsage, Transaction
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.rating.call_content import KEY_BYTES, without_number
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import product_named

if TYPE_CHECKING:
    from stores import Stores

MASKED = "+49**********"
PAYS = license_attribute(product_named("payPerMinute"))


def test_a_key_is_made_once_and_is_gone_once_destroyed(stores: Stores, organization: str) -> None:
    assert stores.keys.find(organization) is None
    key = stores.keys.get_or_make(organization)
    assert len(key) == KEY_BYTES
    assert stores.keys.get_or_make(organization) == stores.keys.find(organization) == key
    stores.keys.destroy(organization)
    stores.keys.destroy(organization)
    assert stores.keys.find(organization) is None
    assert stores.keys.get_or_make(organization) != key


def test_a_number_is_masked_as_far_as_it_did_not_set_the_price(
    stores: Stores, organization: str
) -> None:
    world = MaskedWorld(stores, organization)
    before = world.charged()
    caller = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    dialed_in = world.charged("call-2", **caller)
    world.charged("call-3", leg_type=LegType.APP, remote_number=None)
    assert world.mask(ANSWERED + KEPT).masked == 0
    assert world.mask().masked == 2
    masked = world.usage()
    assert masked.content_digest is not None
    assert masked == before._replace(
        call=replace(before.call, remote_number=MASKED), content_digest=masked.content_digest
    )
    # The service number is no person's.
    assert world.usage("call-2").call == replace(dialed_in.call, remote_number="+493*********")
    assert world.usage("call-3").content_digest is None
    assert world.mask().masked == 0
    world.check()


def test_a_masked_call_is_a_duplicate_or_a_conflict_as_before(
    stores: Stores, organization: str
) -> None:
    world = MaskedWorld(stores, organization)
    world.charged()
    world.mask()
    balance = stores.credit.account(organization).balance_micros
    assert world.deliver(world.call()) == Duplicate()
    other_number = world.deliver(world.call(remote_number="+493023125043"))
    assert isinstance(other_number, Refused)
    assert "is recorded with another remoteNumber;" in str(other_number)
    other_meeting = world.deliver(world.call(meeting_id="other"))
    assert "is recorded with another meetingId;" in str(other_meeting)
    assert stores.credit.account(organization).balance_micros == balance
    # Without the key, what is not masked is compared.
    stores.keys.destroy(organization)
    assert world.deliver(world.call(remote_number="+493023125043")) == Duplicate()
    assert isinstance(world.deliver(world.call(remote_number="+443023125043")), Refused)


def test_a_masked_call_is_rated_again_alike(stores: Stores, organization: str) -> None:
    world = MaskedWorld(stores, organization)
    before = world.charged()
    world.mask()
    world.state(fact(PAYS, value=False, since=ANSWERED), user=ORGANIZER, name="removed")
    assert world.usage().outcome is Outcome.NOT_ENTITLED
    issued = ANSWERED + timedelta(seconds=1)
    again = replace(fact(PAYS, value=True, since=ANSWERED), issued_at=issued)
    world.state(again, user=ORGANIZER, name="again")
    after = world.usage()
    assert (after.outcome, after.charge_micros) == (Outcome.CHARGED, before.charge_micros)
    assert after.price == before.price
    assert after.call.remote_number == MASKED
    assert world.deliver(world.call()) == Duplicate()
    world.check()


def test_a_correction_of_what_was_read_before_does_not_unmask(
    stores: Stores, organization: str
) -> None:
    world = MaskedWorld(stores, organization)
    read = world.charged()
    account = stores.credit.account(organization)
    world.mask()
    corrected = read._replace(notifications_held=True)
    after = account._replace(version=account.version + 1)
    stale = Transaction(account, after, replaced=(ReplacedUsage(read, corrected),))
    with pytest.raises(AccountChanged):
        stores.credit.commit(stale)
    assert world.usage().call.remote_number == MASKED
    masked = world.usage()
    held = ReplacedUsage(masked, masked._replace(notifications_held=True))
    stores.credit.commit(Transaction(account, after, replaced=(held,)))
    assert world.usage() == held.after


def test_a_call_that_was_corrected_since_it_was_read_is_left_to_the_next_run(
    stores: Stores, organization: str
) -> None:
    world = MaskedWorld(stores, organization)
    read = world.charged()
    world.state(fact(PAYS, value=False, since=LONG_AGO), user=ORGANIZER, name="removed")
    corrected = world.usage()
    key = stores.keys.get_or_make(organization)
    assert not stores.content.replace(read, without_number(read, key))
    assert world.usage() == corrected
    assert world.mask(LATER).masked == 1
    world.check()


def test_calls_are_gone_through_from_where_an_earlier_run_stopped(
    stores: Stores, organization: str
) -> None:
    world = MaskedWorld(stores, organization)
    for call_id in ("a", "b", "c"):
        world.charged(call_id)
    rest = [one for page in stores.content.pages(organization, after="a") for one in page.usages]
    assert [one.call.call_id for one in rest] == ["b", "c"]
    assert world.mask(after="b").masked == 1
    unmasked = [one for page in stores.content.pages(organization) for one in page.usages]
    assert [one.call.call_id for one in unmasked] == ["a", "b"]
    everything = [p.usages for p in stores.content.pages(organization, masked=True)]
    assert sum(map(len, everything)) == 3
