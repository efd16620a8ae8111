"""`perminute erase` against a stack on moto: nothing names the user, and no cent moves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from builders import ANSWERED, LONG_AGO, ORGANIZATION, ORGANIZER, fact, processed_event
from masking import LATER, MaskedWorld
from stores import stores_on

from perminute.adapters.dynamodb.erasure import DynamoDBErasure
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.erase_calls import EraseCalls
from perminute.application.results import Duplicate
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing.attributes import NAME, license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.erased_calls import is_pseudonym, pseudonym_of
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reference.licenses import product_named
from perminute_local.cli import main
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack

PAYS = license_attribute(product_named("payPerMinute"))
CREDITS = license_attribute(product_named("communicationsCredits"))
COMMAND = ["erase", "--stack", STACK_NAME, "--organization", ORGANIZATION]
OTHER = "diego"


class World(MaskedWorld):
    """An organization with two users, on the tables of a stack."""

    def __init__(self, stack: Stack) -> None:
        names = table_names(stack)
        super().__init__(
            stores_on(names, content_keys=stack.setting("CONTENT_KEYS_TABLE")), ORGANIZATION
        )
        self.tables = Tables.bind(connect(), names)
        self.erasure = DynamoDBErasure(self.tables)
        stores = self.stores
        self.erase = EraseCalls(
            stores.credit,
            stores.licensing,
            stores.content,
            self.erasure,
            stores.keys,
            self.mask_numbers.retry,
        )
        change = LicensingChange(
            ORGANIZATION, OTHER, (fact(PAYS, value=True), fact(CREDITS, value=True))
        )
        key = processed_event("hr-7", kind=IdentityKind.CHANGE, content={"userId": OTHER})
        stores.licensing.record(ORGANIZATION, [(change, key)])
        for number in range(3):
            self.charged(f"call-{number}", meeting_id="secret-meeting")
        self.charged("other", organizer_id=OTHER, remote_number="+493023125043")
        # A call of a user without a license is notified of.
        self.charged("unlicensed", organizer_id="nobody", remote_number="+493023125044")

    def stored(self) -> str:
        """All that is in the tables but the keys, as text."""
        return "".join(
            json.dumps([*self.items(table.name)], default=_shown)
            for table in (
                self.tables.credit,
                self.tables.usage,
                self.tables.licensing,
                self.tables.events,
            )
        )

    def items(self, table: str) -> list[dict[str, Any]]:
        client: Any = boto3.client("dynamodb")
        items: list[dict[str, Any]] = client.scan(TableName=table)["Items"]
        return items

    def forget(self, prefix: str) -> None:
        """Delete records of the credit table."""
        client, table = boto3.client("dynamodb"), self.tables.credit.name
        for item in self.items(table):
            if item["record"]["S"].startswith(prefix):
                key = {name: item[name] for name in ("organizationId", "record")}
                client.delete_item(TableName=table, Key=key)

    def without_licenses(self, user: str = ORGANIZER, issued: int = 1) -> None:
        at = ANSWERED + timedelta(days=1, seconds=issued)
        facts = [
            replace(fact(name, value=False, since=at), issued_at=at) for name in (PAYS, CREDITS)
        ]
        self.state(*facts, user=user, name=f"gone-{user}-{issued}")

    def money(self) -> tuple[object, ...]:
        self.check()
        statement = self.stores.credit.statement(ORGANIZATION)
        account = statement.account
        return account.balance_micros, account.lots, statement.entries, statement.charges_micros


def _shown(value: bytes) -> str:
    import zlib  # noqa: PLC0415 - only here

    return zlib.decompress(value).decode()


@pytest.fixture
def world(moto_stack: Stack) -> World:
    return World(moto_stack)


def test_it_counts_what_names_a_user_and_erases_it_only_if_told_to(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.without_licenses()
    money, before = world.money(), world.stored()
    assert main([*COMMAND, "--user", ORGANIZER]) == 0
    shown = capsys.readouterr()
    assert "        3  calls\n" in shown.out
    assert shown.err.startswith("nothing is erased; the same command with --yes erases it")
    assert world.stored() == before
    assert main([*COMMAND, "--user", ORGANIZER, "--yes", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["calls"], done["erased"], done["left"]) == (3, True, 0)
    assert done["lists"] >= 3
    key = world.stores.keys.find(ORGANIZATION)
    assert key is not None
    pseudonym = pseudonym_of(ORGANIZER, key)
    stored = world.stored()
    for gone in (f'"{ORGANIZER}"', "secret-meeting", "+493023125042"):
        assert gone not in stored
    assert stored.count(pseudonym) >= 7
    assert world.money() == money
    (usage,) = world.stores.calls.usages(ORGANIZATION, ["call-1"])
    assert (usage.call.organizer_id, usage.is_erased) == (pseudonym, True)


def test_an_erased_call_is_a_duplicate_whatever_its_content(world: World) -> None:
    world.without_licenses()
    world.erase(ORGANIZATION, ORGANIZER, LATER)
    stored, money = world.stored(), world.money()
    for changed in ({}, {"remote_number": "+443023125042"}, {"organizer_id": OTHER}):
        assert world.deliver(world.call("call-1", **changed)) == Duplicate()
    assert (world.stored(), world.money()) == (stored, money)


def test_an_erased_call_is_rated_again_as_if_nothing_had_happened(world: World) -> None:
    world.without_licenses()
    world.erase(ORGANIZATION, ORGANIZER, LATER)
    money = world.money()
    off = fact("licensingProgram", "other", since=LONG_AGO + timedelta(days=1))
    world.state(off, name="other-program")
    assert world.usage("call-1").outcome is Outcome.NOT_ENTITLED
    on = replace(
        fact("licensingProgram", "volume", since=LONG_AGO + timedelta(days=1)),
        issued_at=LONG_AGO + timedelta(days=2),
    )
    world.state(on, name="volume-again")
    assert world.usage("call-1").outcome is Outcome.CHARGED
    assert world.usage("call-1").is_erased
    assert world.money()[0] == money[0]


def test_one_that_is_interrupted_anywhere_is_begun_again_and_erases_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it has done by then, calls are rated again as before."""
    world.without_licenses()
    balance = world.money()[0]
    steps = ("copy_timeline", "erase_others", "move_timeline")
    for number, step in enumerate(steps):
        with monkeypatch.context() as broken:
            broken.setattr(DynamoDBErasure, step, _fails)
            with pytest.raises(Unavailable):
                world.erase(ORGANIZATION, ORGANIZER, LATER)
        since = LONG_AGO + timedelta(days=1)
        for value in ("other", "volume"):
            issued = since + timedelta(seconds=2 * number + (value == "volume"))
            stated = replace(fact("licensingProgram", value, since=since), issued_at=issued)
            world.state(stated, name=f"{step}-{value}")
            # Its record may be erased already, and the list that names it not.
            is_charged = world.usage("call-1").outcome is Outcome.CHARGED
            assert is_charged is (value == "volume"), step
        assert world.money()[0] == balance
    # What waits to be counted in a digest is erased when that has been sent.
    done = world.erase(ORGANIZATION, ORGANIZER, LATER)
    assert done.left == done.others.recent == 1
    world.forget("outbox#call#")
    assert world.erase(ORGANIZATION, ORGANIZER, LATER).left == 0
    assert f'"{ORGANIZER}"' not in world.stored()
    organizers = {world.usage(f"call-{n}").call.organizer_id for n in range(3)}
    assert len(organizers) == 1
    assert is_pseudonym(organizers.pop())


def _fails(*_: object, **__: object) -> None:
    raise Unavailable("no answer")


def test_a_user_who_may_still_call_or_is_unknown_is_not_erased(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.stored()
    assert main([*COMMAND, "--user", ORGANIZER, "--yes"]) == 2
    assert "user: still holds licenses, and may call" in capsys.readouterr().err
    assert main([*COMMAND, "--user", "adelle", "--yes"]) == 1
    assert "nothing is stored of this user of contoso" in capsys.readouterr().err
    assert main([*COMMAND[:-1], "contosso", "--yes"]) == 1
    assert "nothing is stored of contosso" in capsys.readouterr().err
    assert world.stored() == before


def test_all_users_are_erased_with_the_key_the_name_and_the_events(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.state(fact(NAME, "Contoso Ltd"), name="named")
    money = world.money()
    assert main([*COMMAND, "--yes"]) == 1
    assert capsys.readouterr().err.startswith("left: 2 that are recent, under way, or have just")
    # Nobody is named any more beside them: they are waited for all the same.
    assert main([*COMMAND, "--yes"]) == 1
    assert capsys.readouterr().err.startswith("left: 2 that are recent")
    assert world.stores.keys.find(ORGANIZATION) is not None
    world.forget("outbox#call#")
    assert main([*COMMAND, "--yes"]) == 0
    assert capsys.readouterr().err == "the key of contoso is destroyed\n"
    assert world.stores.keys.find(ORGANIZATION) is None
    stored = world.stored()
    for gone in (f'"{ORGANIZER}"', f'"{OTHER}"', "Contoso Ltd", "+493023125042", "hr-8"):
        assert gone not in stored
    assert world.money() == money


def test_a_user_who_is_erased_again_gets_another_pseudonym(world: World) -> None:
    world.without_licenses()
    world.erase(ORGANIZATION, ORGANIZER, LATER)
    first = world.usage("call-1").call.organizer_id
    world.charged("late")
    assert world.usage("late").outcome is Outcome.NOT_ENTITLED
    world.erase(ORGANIZATION, ORGANIZER, LATER)
    second = world.usage("late").call.organizer_id
    assert first != second
    assert is_pseudonym(second)
    with pytest.raises(Refused, match="is the pseudonym of a user who is erased already"):
        world.erase(ORGANIZATION, second, LATER)
