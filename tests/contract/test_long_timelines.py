"""Timelines of more facts than one item holds, over all stores: they grow and fold."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from builders import ANSWERED, LONG_AGO, fact, processed_event, refuses

from perminute.adapters.dynamodb import licensing_store, timelines
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.timelines import (
    ORGANIZATION,
    fact_bytes,
    fact_text,
    further_subject,
    subject_key,
    subject_of,
    subject_of_further,
    timeline_of,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    FactsFolded,
    TimelineFull,
)
from perminute.domain.errors import Contended
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import MAX_FACTS, Fact, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from stores import Stores

    from perminute.adapters.dynamodb.codec import Item
    from perminute.domain.licensing.licensing import Licensing

LICENSE = "license:MCOMEETADV"
DAY = timedelta(days=1)
CHARACTER = "\N{GRINNING FACE}"
"""Of four bytes."""
NEVER = LONG_AGO - 1_000 * DAY


def nightly(nights: range) -> tuple[Fact, ...]:
    """Says once a night that a license is held."""
    return tuple(fact(LICENSE, True, LONG_AGO + night * DAY, f"{night}") for night in nights)  # noqa: FBT003 - what the facts say


def gone(night: int) -> Fact:
    """Says that it was removed at noon after a night."""
    return fact(LICENSE, value=False, since=LONG_AGO + night * DAY + DAY / 2, event_id=f"-{night}")


def append(
    stores: Stores, organization: str, facts: Sequence[Fact], user_id: str | None = "adele"
) -> None:
    proof = processed_event(
        f"{organization}-{user_id}-{facts[0].event_id}", organization_id=organization
    )
    change = LicensingChange(organization, user_id, tuple(facts))
    return stores.licensing.record(organization, [(change, proof)])


def fill(stores: Stores, organization: str, nights: range) -> None:
    """Append a fact for each of these nights."""
    for start in range(nights.start, nights.stop, 200):
        some = nightly(range(start, min(start + 200, nights.stop)))
        append(stores, organization, some)


def known(stores: Stores, organization: str) -> Licensing:
    return stores.licensing.licensing(organization, ["adele", "alex"])


def test_a_full_timeline_goes_on_when_it_is_rolled_over_and_nothing_is_lost(
    stores: Stores, organization: str
) -> None:
    nights = range(MAX_FACTS)
    fill(stores, organization, nights)
    more = nightly(range(MAX_FACTS, MAX_FACTS + 150))
    with refuses(TimelineFull(frozenset({"adele"}))):
        append(stores, organization, more)
    version = stores.credit.account(organization).version
    stores.licensing.roll_over(organization, "adele", fold_before=NEVER)
    assert stores.credit.account(organization).version == version
    append(stores, organization, more)
    append(stores, organization, [gone(30)])
    said = {*nightly(nights), *more, gone(30)}
    assert known(stores, organization).users["adele"] == Timeline(said)
    account = stores.credit.account(organization)
    assert account.user_facts == len(said) == MAX_FACTS + 151
    seats = stores.licensing.seats(account)
    at = [LONG_AGO + night * DAY for night in (-1, 0, 30.5, 31, 1_149)]
    assert list(map(seats.count_at, at)) == [0, 1, 0, 1, 1]


def test_old_repeats_are_folded_and_the_account_counts_what_is_left(
    stores: Stores, organization: str
) -> None:
    fill(stores, organization, range(MAX_FACTS))
    stores.licensing.roll_over(organization, "adele", fold_before=NEVER)
    append(stores, organization, [gone(10)])
    nights = range(MAX_FACTS, 2 * MAX_FACTS - 1)
    fill(stores, organization, nights)
    with refuses(TimelineFull(frozenset({"adele"}))):
        append(stores, organization, nightly(range(5_000, 5_001)))
    before = stores.credit.account(organization)
    horizon = LONG_AGO + 1_500 * DAY
    stores.licensing.roll_over(organization, "adele", fold_before=horizon)
    kept = {*nightly(range(1)), gone(10), *nightly(range(11, 12))}
    kept |= {*nightly(range(1_500, nights.stop))}
    timeline = known(stores, organization).users["adele"]
    assert timeline.facts == kept
    account = stores.credit.account(organization)
    assert account == before._replace(
        version=before.version + 1,
        licensing_version=before.licensing_version + 1,
        user_facts=len(kept),
    )
    at = [LONG_AGO + night * DAY for night in (-1, 0, 10.5, 11, 1_499)]
    assert list(map(stores.licensing.seats(account).count_at, at)) == [0, 1, 0, 1, 1]


def test_no_fact_is_taken_from_before_what_is_folded_and_a_known_one_is_still_known(
    stores: Stores, organization: str
) -> None:
    first = nightly(range(3))
    append(stores, organization, first)
    until = LONG_AGO + 2 * DAY
    stores.licensing.roll_over(organization, "adele", fold_before=until)
    assert known(stores, organization).users["adele"].facts == {first[0], first[2]}
    late = [gone(1), gone(2), gone(3)]
    with refuses(FactsFolded({"adele": until})):
        append(stores, organization, late)
    append(stores, organization, late, "alex")
    append(stores, organization, late[1:])
    with pytest.raises(AlreadyExists):
        append(stores, organization, first)


def test_where_nothing_is_folded_facts_of_any_time_are_taken(
    stores: Stores, organization: str
) -> None:
    append(stores, organization, nightly(range(1)))
    horizon = LONG_AGO + DAY
    stores.licensing.roll_over(organization, "adele", fold_before=horizon)
    append(stores, organization, nightly(range(-9, -8)))
    assert stores.credit.account(organization).user_facts == 2


def test_the_timeline_of_an_organization_is_rolled_over_and_counts_no_users(
    stores: Stores, organization: str
) -> None:
    said = [fact("name", "Contoso", LONG_AGO + n * DAY, str(n)) for n in range(3)]
    append(stores, organization, said, None)
    horizon = LONG_AGO + 2 * DAY
    stores.licensing.roll_over(organization, None, fold_before=horizon)
    assert known(stores, organization).organization == Timeline([said[0], said[2]])
    account = stores.credit.account(organization)
    assert (account.version, account.user_facts) == (2, 0)


def test_an_event_that_states_nothing_is_recorded_and_touches_no_timeline(
    stores: Stores, organization: str
) -> None:
    proof = processed_event(organization, organization_id=organization)
    change = LicensingChange(organization, "adele", ())
    stores.licensing.record(organization, [(change, proof)])
    with refuses(AlreadyExists(processed_events={proof.key: proof})):
        stores.licensing.record(organization, [(change, proof)])
    assert stores.credit.account(organization).version == 1


def test_a_timeline_that_has_nothing_to_move_stays_as_it_is(
    stores: Stores, organization: str
) -> None:
    stores.licensing.roll_over(organization, "adele", fold_before=ANSWERED)
    assert stores.credit.account(organization) == Account(organization_id=organization)


def test_a_user_whose_id_ends_like_a_further_item_is_somebody_else(
    stores: Stores, organization: str
) -> None:
    for user in ("adele", "adele#1", "#1"):
        said = [fact("country", "DE", event_id=user)]
        append(stores, organization, said, user)
        stores.licensing.roll_over(organization, user, fold_before=NEVER)
    users = stores.licensing.licensing(organization, ["adele", "adele#1", "#1"]).users
    assert [len(timeline.facts) for timeline in users.values()] == [1, 1, 1]


# ── What only the items of DynamoDB can be ───────────────────────────────────────────────────


@pytest.fixture
def on_dynamodb(stores: Stores) -> Iterator[DynamoDBLicensingStore]:
    """A store that rolls over early; the twin has no items."""
    if not isinstance(stores.licensing, DynamoDBLicensingStore):
        pytest.skip("the twin has no items")
    with patch.object(licensing_store, "MAX_FACTS", 3):
        yield stores.licensing


def test_a_fact_that_comes_while_a_timeline_is_rolled_over_is_not_lost(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    append(stores, organization, nightly(range(2)))
    table = on_dynamodb._tables.licensing  # noqa: SLF001 - between two requests of the store
    read = table.get

    def overtaken(key: Item) -> object:
        found = read(key)
        append(stores, organization, nightly(range(7, 8)))
        return found

    with patch.object(table, "get", overtaken), pytest.raises(AccountChanged):
        on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    assert len(known(stores, organization).users["adele"].facts) == 3


def test_as_many_facts_after_another_roll_over_are_others(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    """All that is left to be moved is folded, so no further item of the same number collides."""
    append(stores, organization, nightly(range(1)))
    on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    append(stores, organization, nightly(range(1, 3)))
    table = on_dynamodb._tables.licensing  # noqa: SLF001 - between two requests of the store
    read = table.get

    def overtaken(key: Item) -> object:
        found = read(key)
        with patch.object(table, "get", read):
            on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
        append(stores, organization, nightly(range(5, 7)))
        return found

    with patch.object(table, "get", overtaken), pytest.raises(AccountChanged):
        on_dynamodb.roll_over(organization, "adele", fold_before=LONG_AGO + 4 * DAY)
    assert len(known(stores, organization).users["adele"].facts) == 5


@contextmanager
def overtaken(
    store: DynamoDBLicensingStore, organization: str, *, fold_before: datetime
) -> Iterator[None]:
    """Have a timeline rolled over between two requests of one reading."""
    table = store._tables.licensing  # noqa: SLF001 - between two requests of the store
    read = table.get_snapshot

    def rolled_over(keys: Sequence[Item]) -> object:
        found = read(keys)
        with patch.object(table, "get_snapshot", read):
            store.roll_over(organization, "adele", fold_before=fold_before)
        return found

    with patch.object(table, "get_snapshot", rolled_over):
        yield


def test_a_timeline_that_folds_while_it_is_read_is_to_be_read_again(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    append(stores, organization, nightly(range(3)))
    on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    append(stores, organization, nightly(range(3, 6)))
    with overtaken(on_dynamodb, organization, fold_before=ANSWERED), pytest.raises(Contended):
        known(stores, organization)
    assert known(stores, organization).users["adele"].facts == set(nightly(range(1)))


def test_what_is_moved_while_a_timeline_is_read_is_read_once(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    append(stores, organization, nightly(range(3)))
    on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    append(stores, organization, nightly(range(3, 6)))
    with overtaken(on_dynamodb, organization, fold_before=NEVER):
        assert known(stores, organization).users["adele"].facts == set(nightly(range(6)))


def test_bytes_fill_an_item_as_facts_do(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    """Ids may have 250 characters of four bytes; they are as long as they may be."""
    ids = [f"{n:02}{CHARACTER * 248}" for n in range(4)]
    facts = [fact("name", CHARACTER * 100, event_id=identity) for identity in ids]
    size = max(fact_bytes([fact_text(one)]) for one in facts)
    with (
        patch.multiple(licensing_store, MAX_FACTS=1_000, MAX_FIRST_BYTES=2 * size),
        patch.object(timelines, "MAX_FURTHER_BYTES", 2 * size),
    ):
        for one in facts[:2]:
            append(stores, organization, [one])
        with refuses(TimelineFull(frozenset({"adele"}))):
            append(stores, organization, facts[2:3])
        on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
        # What is stated at once is never divided: an empty item takes it.
        append(stores, organization, [*facts[2:], *nightly(range(3))])
        on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    assert known(stores, organization).users["adele"].facts == {*facts, *nightly(range(3))}
    item = on_dynamodb._tables.licensing.get(  # noqa: SLF001
        subject_key(organization, subject_of("adele"))
    )
    assert item is not None
    first = timeline_of(item)
    assert (first.further, first.rolled, first.facts) == ((1, 2, 3), 3, ())


def test_a_name_of_a_further_item_fits_the_longest_id() -> None:
    subject = subject_of(CHARACTER * 250)
    name = further_subject(subject, 10**10 - 1)
    assert len(name.encode()) == 1_024
    assert subject_of_further(name) == subject
    assert subject_of_further(subject) == subject
    assert subject_of_further(ORGANIZATION) == ORGANIZATION


def test_more_is_left_out_than_one_transaction_writes(
    on_dynamodb: DynamoDBLicensingStore, stores: Stores, organization: str
) -> None:
    """What a roll-over leaves behind the next one finds."""
    for start in range(0, 21, 3):
        append(stores, organization, nightly(range(start, start + 3)))
        on_dynamodb.roll_over(organization, "adele", fold_before=NEVER)
    append(stores, organization, nightly(range(21, 24)))
    found = []
    for night in (24, 25):
        on_dynamodb.roll_over(organization, "adele", fold_before=LONG_AGO + 23 * DAY)
        account = stores.credit.account(organization)
        timeline = known(stores, organization).users["adele"]
        assert account.user_facts == len(timeline.facts)
        assert stores.licensing.seats(account).count_at(LONG_AGO + 9 * DAY) == 1
        found.append(len(timeline.facts))
        append(stores, organization, nightly(range(night, night + 1)))
    assert found == [11, 3]
