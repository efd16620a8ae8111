"""Users who are erased: nothing names them, no cent moves, and their calls are rated as before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from authorizing import asks, under_way
from builders import ANSWERED, ENDED, LONG_AGO, ORGANIZER, WITHOUT_WAITING, fact
from erasing import (
    CHANGE_OF_OTHER,
    MEETING,
    NUMBER,
    OTHER,
    OTHER_NUMBER,
    PAYS,
    THIRD_NUMBER,
    UNLICENSED,
    ErasedWorld,
)
from masking import LATER

from perminute.application import send_digests
from perminute.application.results import Duplicate
from perminute.application.send_digests import SendDigests
from perminute.domain.authorization.reservations import Answer, Decision, Reservation, ReservedPart
from perminute.domain.credit.transaction import ERASED_CONTENT, Authorized, Transaction
from perminute.domain.errors import NotFound, Refused, Unavailable
from perminute.domain.licensing.attributes import NAME
from perminute.domain.limits.spending import SpendChange, SpendCounter, SpendKey, SpendKind
from perminute.domain.rating.erased_calls import is_pseudonym, pseudonym_of
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.rerating.rerating import Rerating
from perminute.ports.privacy import OtherRecords

if TYPE_CHECKING:
    from stores import Stores

DAY, MONTH = ENDED.date(), ANSWERED.replace(day=1, hour=0)


@pytest.fixture
def world(stores: Stores, organization: str) -> ErasedWorld:
    return ErasedWorld(stores, organization)


def test_nothing_names_a_user_who_is_erased_and_no_cent_moves(world: ErasedWorld) -> None:
    world.without_licenses()
    money, before = world.money(), world.stored()
    expected = world.erase_calls.preview(world.organization, ORGANIZER, LATER)
    assert (expected.users, expected.calls, expected.left) == (1, 3, 0)
    assert (expected.others.lists, expected.others.events) == (3, 0)
    assert world.stored() == before
    done = world.erase()
    assert done == expected
    key = world.stores.keys.find(world.organization)
    assert key is not None
    stored, pseudonym = world.stored(), pseudonym_of(ORGANIZER, key)
    for gone in (ORGANIZER, MEETING, NUMBER):
        assert gone not in stored
    for kept in (OTHER, UNLICENSED, OTHER_NUMBER, THIRD_NUMBER, pseudonym):
        assert kept in stored
    assert world.money() == money
    usage = world.usage()
    assert (usage.call.organizer_id, usage.is_erased) == (pseudonym, True)
    # Whatever their content, and without a trace.
    stored = world.stored()
    for changed in ({}, {"remote_number": "+443023125042"}, {"organizer_id": OTHER}):
        assert world.deliver(world.call("call-1", **changed)) == Duplicate()
    assert (world.stored(), world.money()) == (stored, money)


def test_an_erased_call_is_rated_again_as_if_nothing_had_happened(world: ErasedWorld) -> None:
    world.without_licenses()
    world.erase()
    balance, since = world.money()[0], LONG_AGO + timedelta(days=1)
    world.state(fact("licensingProgram", "other", since=since), name="other-program")
    assert world.usage().outcome is Outcome.NOT_ENTITLED
    on = replace(
        fact("licensingProgram", "volume", since=since), issued_at=since + timedelta(days=1)
    )
    world.state(on, name="volume-again")
    assert (world.usage().outcome, world.usage().is_erased) == (Outcome.CHARGED, True)
    assert world.money()[0] == balance


def test_one_that_is_interrupted_anywhere_is_begun_again_and_erases_the_same(
    world: ErasedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it has done by then, calls are rated again as before."""
    world.without_licenses()
    balance, since = world.money()[0], LONG_AGO + timedelta(days=1)
    for number, step in enumerate(("copy_timeline", "erase_others", "move_timeline")):
        with monkeypatch.context() as broken:
            broken.setattr(type(world.stores.erasure), step, _fails)
            with pytest.raises(Unavailable):
                world.erase()
        for value in ("other", "volume"):
            issued = since + timedelta(seconds=2 * number + (value == "volume"))
            stated = replace(fact("licensingProgram", value, since=since), issued_at=issued)
            world.state(stated, name=f"{step}-{value}")
            # Its record may be erased already, and the list that names it not.
            is_charged = world.usage().outcome is Outcome.CHARGED
            assert is_charged is (value == "volume"), step
        assert world.money()[0] == balance
    # What was notified of by the user's name is erased when a digest has counted it.
    done = world.erase()
    assert done.left == done.others.recent == 1
    world.forget_calls_to_count()
    assert world.erase().left == 0
    assert ORGANIZER not in world.stored()
    organizers = {world.usage(f"call-{number}").call.organizer_id for number in range(3)}
    assert len(organizers) == 1
    assert is_pseudonym(organizers.pop())


def _fails(*_: object, **__: object) -> None:
    raise Unavailable("no answer")


def test_all_users_are_erased_with_the_key_the_name_and_the_events(world: ErasedWorld) -> None:
    world.state(fact(NAME, "Contoso Ltd"), name="named")
    money = world.money()
    # The stranger's call is still to be counted in a digest.
    done = world.erase(None)
    assert (done.others.events, done.left) == (4, 1)
    # Nobody is named any more beside it: it is waited for all the same.
    done = world.erase(None)
    assert (done.others.events, done.left) == (0, 1)
    assert world.stores.keys.find(world.organization) is not None
    world.forget_calls_to_count()
    assert world.erase(None).left == 0
    assert world.stores.keys.find(world.organization) is None
    stored = world.stored()
    for gone in (ORGANIZER, OTHER, UNLICENSED, "Contoso Ltd", NUMBER, OTHER_NUMBER, THIRD_NUMBER):
        assert gone not in stored
    assert world.money() == money


def test_a_user_who_may_still_call_or_is_unknown_is_not_erased(world: ErasedWorld) -> None:
    before = world.stored()
    with pytest.raises(Refused, match="still holds licenses"):
        world.erase()
    with pytest.raises(NotFound, match="nothing is stored of this user"):
        world.erase_calls.preview(world.organization, "adelle", LATER)
    with pytest.raises(NotFound, match="nothing is stored of contosso"):
        world.erase_calls("contosso", None, LATER)
    assert world.stored() == before


def test_nobody_is_erased_while_his_calls_are_rated_again(world: ErasedWorld) -> None:
    """They are found by the name that the re-rating has."""
    world.without_licenses(OTHER)
    removed = replace(fact(PAYS, value=False, since=ANSWERED), issued_at=LATER)
    world.hear(removed, user=OTHER, name="removed-before")
    before = world.stored()
    for user in (OTHER, None):
        with pytest.raises(Refused, match="calls that are just being rated again"):
            world.erase(user)
    assert world.stored() == before
    world.rate_again()
    assert world.usage("other").outcome is Outcome.NOT_ENTITLED
    assert world.erase(OTHER).calls == 1


def test_a_user_who_is_erased_again_gets_another_pseudonym(world: ErasedWorld) -> None:
    world.without_licenses()
    world.erase()
    first = world.usage().call.organizer_id
    world.charged("late")
    assert world.usage("late").outcome is Outcome.NOT_ENTITLED
    world.erase()
    second = world.usage("late").call.organizer_id
    assert first != second
    assert is_pseudonym(second)
    with pytest.raises(Refused, match="is the pseudonym of a user who is erased already"):
        world.erase(second)


def test_calls_that_wait_for_a_digest_are_all_in_the_one_of_the_pseudonym(
    world: ErasedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although they are counted in several pieces, and were notified of by the user's name."""
    for number in range(5):
        world.charged(f"waits-{number}", organizer_id=UNLICENSED, remote_number=THIRD_NUMBER)
    world.publish_first_calls()
    assert world.erase(UNLICENSED).left == 6
    monkeypatch.setattr(send_digests, "MAX_RECORDS_COUNTED", 2)
    stores = world.stores
    send = SendDigests(stores.credit, stores.under_way, stores.digests, WITHOUT_WAITING)
    assert send(world.organization, LATER, LATER).sent == 1
    told = map(json.loads, stores.outbox(world.organization))
    (digest,) = [one for one in told if "calls" in one]
    assert is_pseudonym(digest["organizerId"])
    assert digest["calls"] == 5


def archived(world: ErasedWorld) -> list[tuple[str, str, str | None]]:
    calls = [usage.call for usage in world.archive.calls(world.organization)]
    return [(one.organizer_id, one.meeting_id, one.remote_number) for one in calls]


def test_the_archive_names_nobody_who_is_erased_and_forgets_an_organization_with_all_its_users(
    world: ErasedWorld,
) -> None:
    world.without_licenses()
    # At the same time: some calls are masked, and all are archived, when the user is erased.
    world.archive.keep(world.organization, [world.usage("call-2")])
    assert world.mask().masked == 5
    expected = world.erase_calls.preview(world.organization, ORGANIZER, LATER)
    assert (expected.calls, expected.archived) == (3, 2)
    assert world.erase() == expected
    pseudonym = world.usage().call.organizer_id
    other, stranger = (world.usage(one).call.meeting_id for one in ("other", "unlicensed"))
    assert sorted({*archived(world)}) == sorted(
        [
            (OTHER, other, OTHER_NUMBER),
            (pseudonym, "erased", "+49**********"),
            (UNLICENSED, stranger, THIRD_NUMBER),
        ]
    )
    assert len(archived(world)) == 6
    assert world.erase(None).archived == 1 + 1
    assert archived(world) == []


def test_whoever_was_archived_while_he_was_erased_is_erased_again(world: ErasedWorld) -> None:
    """A masking that is under way may archive the calls that it has read before."""
    world.without_licenses()
    read = world.usage()
    world.erase()
    world.archive.keep(world.organization, [read])
    assert world.erase_calls.preview(world.organization, ORGANIZER, LATER).archived == 1
    assert world.erase().archived == 1
    ((organizer, _, _),) = archived(world)
    assert is_pseudonym(organizer)


def test_the_archive_is_erased_first_and_what_comes_meanwhile_last(
    world: ErasedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.without_licenses()
    world.mask()
    with monkeypatch.context() as broken:
        broken.setattr(type(world.stores.erasure), "copy_timeline", _fails)
        with pytest.raises(Unavailable):
            world.erase()
    assert ORGANIZER not in str(archived(world))
    assert world.usage().call.organizer_id == ORGANIZER
    forget, read = type(world.stores.erasure).erase_others, world.usage()

    def archiving(*who: Any, **what: Any) -> OtherRecords:
        world.archive.keep(world.organization, [read])
        return forget(*who, **what)

    monkeypatch.setattr(type(world.stores.erasure), "erase_others", archiving)
    assert world.erase().archived == 1
    assert ORGANIZER not in str(archived(world))


# ── What the port promises ───────────────────────────────────────────────────────────────────────


def test_a_copied_timeline_counts_once_until_it_is_moved(world: ErasedWorld) -> None:
    erasure, organization = world.stores.erasure, world.organization
    world.stores.licensing.roll_over(organization, OTHER, fold_before=LONG_AGO)
    erasure.copy_timeline(organization, OTHER, "erased-1")
    both = world.stores.licensing.licensing(organization, [OTHER, "erased-1"])
    assert both.user("erased-1").facts == both.user(OTHER).facts
    assert world.counted_users() == {ORGANIZER, OTHER}
    assert erasure.has_timeline(organization, "erased-1")
    assert not erasure.is_taken(organization, "erased-1")
    # It has changed since it was copied.
    world.without_licenses(OTHER)
    assert not erasure.move_timeline(organization, OTHER, "erased-1")
    erasure.copy_timeline(organization, OTHER, "erased-1")
    version = world.stores.credit.account(organization).licensing_version
    assert erasure.move_timeline(organization, OTHER, "erased-1")
    # Whoever decides by what he has read of licenses reads them again.
    assert world.stores.credit.account(organization).licensing_version == version + 1
    assert world.counted_users() == {ORGANIZER, "erased-1"}
    assert erasure.is_taken(organization, "erased-1")
    assert not erasure.has_timeline(organization, OTHER)
    assert erasure.move_timeline(organization, OTHER, "erased-1")
    assert erasure.users(organization) == {ORGANIZER, OTHER, UNLICENSED, "erased-1"}


def test_a_timeline_without_a_copy_stays(world: ErasedWorld) -> None:
    erasure, organization = world.stores.erasure, world.organization
    erasure.copy_timeline(organization, "unknown", "erased-1")
    assert not erasure.has_timeline(organization, "erased-1")
    assert erasure.move_timeline(organization, "unknown", "erased-1")
    assert not erasure.move_timeline(organization, OTHER, "erased-1")
    assert erasure.has_timeline(organization, OTHER)


def test_what_else_names_a_user_is_counted_and_erased_by_its_kind(world: ErasedWorld) -> None:
    organization, stores = world.organization, world.stores
    of_user = SpendKey(SpendKind.USER, OTHER, MONTH)
    of_prefix = SpendKey(SpendKind.PREFIX, OTHER, MONTH)
    changes = (SpendChange(of_user, DAY, -7), SpendChange(of_prefix, DAY, 3))
    account = stores.credit.account(organization)
    after = account._replace(version=account.version + 1, corrections=1)
    counters = tuple(SpendCounter(key=key, spent_micros=7) for key in (of_user, of_prefix))
    rerating = Rerating(
        organization_id=organization, rerating_id="waits", at=LATER, since={OTHER: ANSWERED}
    )
    stores.credit.commit(
        Transaction(
            account,
            after,
            corrected=changes,
            spend_counters=counters,
            reratings=(rerating,),
        )
    )
    names = {OTHER: "erased-1", UNLICENSED: "erased-2"}
    # Of the stranger: a list, and a call that is to be counted.
    found = OtherRecords(lists=2, counters=2, events=1, recent=2)
    before = world.stored()
    assert world.erase_others(names, write=False) == found
    assert world.stored() == before
    assert world.erase_others(names, write=True) == found
    assert world.erase_others(names, write=True) == OtherRecords(recent=2)
    renamed = changes[0]._replace(key=of_user._replace(subject="erased-1"))
    kept = stores.credit.spend_changes(organization, after=0, until=1)
    assert tuple(kept[1]) == (renamed, changes[1])
    assert [*stores.credit.spend_counters(organization, [of_user, of_prefix])] == [of_prefix]
    event = stores.credit.processed_event(CHANGE_OF_OTHER._replace(organization_id=organization))
    assert event is not None
    assert event.content == ERASED_CONTENT


def test_a_notification_that_may_still_be_published_is_left(world: ErasedWorld) -> None:
    world.publish_first_calls()
    assert UNLICENSED in str(world.stores.outbox(world.organization))
    names = {UNLICENSED: "erased-2"}
    found = world.erase_others(names, write=True, before=ENDED)
    assert (found.notifications, found.recent) == (0, 2)
    found = world.erase_others(names, write=True, before=ENDED + timedelta(seconds=1))
    assert (found.notifications, found.recent) == (1, 1)
    world.forget_calls_to_count()
    assert world.erase_others(names, write=True).recent == 0
    assert world.stores.outbox(world.organization) == []


def test_a_call_that_was_authorized_is_forgotten_unless_something_is_to_be_charged(
    world: ErasedWorld,
) -> None:
    organization, stores = world.organization, world.stores
    for call_id, held in (("denied", ()), ("granted", (ReservedPart(LATER, 1, 0),))):
        call = under_way(organization_id=organization, call_id=call_id, organizer_id=OTHER)
        answer = Answer(sequence=0, decision=Decision.DENY)
        reservation = Reservation(call=call, last_request=asks(5), answer=answer, held=held)
        assert stores.under_way.store(Authorized(reservation, None))
    assert world.erase_others({UNLICENSED: "erased-2"}, write=True).not_ended == 0
    assert world.erase_others({}, write=False, everything=True).not_ended == 1
    found = world.erase_others({OTHER: "erased-1"}, write=True)
    assert (found.not_ended, found.recent) == (1, 1)
    left = stores.under_way.read_calls(organization, ["denied", "granted"])
    assert [*left] == ["granted"]
