"""`perminute erase` against a stack on moto: what it says, and with what code it ends."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from builders import ORGANIZATION, ORGANIZER
from erasing import NUMBER, OTHER, ErasedWorld
from masking import LATER
from stores import stores_on

from perminute.adapters.statement_bucket import S3StatementBucket
from perminute.adapters.usage_archive import S3UsageArchive
from perminute.application.erase_calls import EraseCalls
from perminute.domain.errors import Refused
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.statement import Basis
from perminute.ports.messaging import RunOrganization
from perminute.ports.statements import StatementFile, StatementKey
from perminute_local import erase_calls
from perminute_local.cli import main
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack

COMMAND = ["erase", "--stack", STACK_NAME, "--organization", ORGANIZATION]


@pytest.fixture
def world(moto_stack: Stack) -> ErasedWorld:
    content_keys = moto_stack.setting("CONTENT_KEYS_TABLE")
    return ErasedWorld(stores_on(table_names(moto_stack), content_keys=content_keys), ORGANIZATION)


def test_it_counts_what_names_a_user_and_erases_it_only_if_told_to(
    world: ErasedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.without_licenses()
    before = world.stored()
    assert main([*COMMAND, "--user", ORGANIZER]) == 0
    shown = capsys.readouterr()
    assert "        3  calls\n" in shown.out
    assert shown.err.startswith("nothing is erased; the same command with --yes erases it")
    assert world.stored() == before
    assert main([*COMMAND, "--user", ORGANIZER, "--yes", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["calls"], done["lists"], done["erased"], done["left"]) == (3, 3, True, 0)
    assert ORGANIZER not in world.stored()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket that a stack with `Statements=true` has, with two versions of one statement."""
    bucket = boto3.resource("s3").create_bucket(
        Bucket="statements", ObjectLockEnabledForBucket=True
    )
    monkeypatch.setattr(erase_calls, "outputs", lambda _: {"StatementsBucketName": bucket.name})
    kept = S3StatementBucket(lambda: boto3.client("s3"), bucket.name)
    for organization in (ORGANIZATION, ORGANIZATION, f"{ORGANIZATION}-2"):
        key = StatementKey(organization, Month.parse("2026-10"), Basis.STATED)
        kept.keep(key, StatementFile("csv", "text/csv", ORGANIZER.encode()))
    return bucket


def test_statements_that_name_organizers_are_deleted_with_their_versions(
    world: ErasedWorld, statements: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.without_licenses()
    assert main([*COMMAND, "--user", ORGANIZER]) == 0
    assert "        2  files of statements\n" in capsys.readouterr().out
    assert len(list(statements.object_versions.all())) == 3
    assert main([*COMMAND, "--user", ORGANIZER, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["statementFiles"] == 2
    left = [file.object_key for file in statements.object_versions.all()]
    assert left == [f"{ORGANIZATION}-2/2026-10/statement-stated.csv"]


def test_statements_are_deleted_even_if_the_rest_fails_and_finds_nobody_again(
    world: ErasedWorld, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Refused("organization", "is busy")

    world.without_licenses()
    monkeypatch.setattr(EraseCalls, "__call__", fail)
    assert main([*COMMAND, "--user", ORGANIZER, "--yes"]) == 2
    assert len(list(statements.object_versions.all())) == 1


def test_a_statement_that_cannot_be_deleted_ends_it_before_users_are_erased(
    world: ErasedWorld, statements: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, last = statements.object_versions.filter(Prefix=f"{ORGANIZATION}/")
    boto3.client("s3").put_object_legal_hold(
        Bucket=statements.name,
        Key=last.object_key,
        VersionId=last.id,
        LegalHold={"Status": "ON"},
    )
    world.without_licenses()
    assert main([*COMMAND, "--user", ORGANIZER, "--yes"]) == 2
    assert "AccessDenied" in capsys.readouterr().err
    assert ORGANIZER in world.stored()


def test_archived_calls_of_a_user_are_rewritten_and_those_of_an_organization_deleted(
    world: ErasedWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = boto3.resource("s3").create_bucket(Bucket="archived")
    bucket.Versioning().enable()
    monkeypatch.setattr(erase_calls, "outputs", lambda _: {"UsageArchiveBucketName": bucket.name})
    archive = S3UsageArchive(lambda: boto3.client("s3"), bucket.name)
    masking = replace(world.mask_numbers, archive=archive)
    world.without_licenses()
    assert masking(RunOrganization(LATER, ORGANIZATION)).masked == 5
    assert main([*COMMAND, "--user", ORGANIZER]) == 0
    assert "        1  files of archived calls\n" in capsys.readouterr().out
    assert ORGANIZER in archived(bucket)
    assert main([*COMMAND, "--user", ORGANIZER, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["archiveFiles"] == 1
    text = archived(bucket)
    assert (ORGANIZER in text, NUMBER in text, OTHER in text) == (False, False, True)
    assert main([*COMMAND, "--yes"]) == 1
    assert archived(bucket) == ""


def archived(bucket: Any) -> str:
    """Return what all versions contain of an archive, as text."""
    contents = (version.get()["Body"].read() for version in bucket.object_versions.all())
    return "".join(gzip.decompress(content).decode() for content in contents)


def test_a_user_who_may_still_call_or_is_unknown_is_not_erased(
    world: ErasedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.stored()
    assert main([*COMMAND, "--user", ORGANIZER, "--yes"]) == 2
    assert "perminute: --user: still holds licenses, and may call" in capsys.readouterr().err
    assert main([*COMMAND, "--user", "adelle", "--yes"]) == 2
    assert "nothing is stored of this user of contoso" in capsys.readouterr().err
    assert main([*COMMAND[:-1], "contosso", "--yes", "--json"]) == 2
    said = "--organization: nothing is stored of contosso"
    assert json.loads(capsys.readouterr().out)["message"] == said
    assert world.stored() == before


def test_the_key_of_an_organization_is_destroyed_once_nothing_is_left(
    world: ErasedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(COMMAND) == 0
    assert "recent or under way: 1, which can be erased in two days" in capsys.readouterr().err
    assert main([*COMMAND, "--yes"]) == 1
    assert capsys.readouterr().err.startswith("left: 1 that are recent, under way, or have just")
    assert world.stores.keys.find(ORGANIZATION) is not None
    world.forget_calls_to_count()
    assert main([*COMMAND, "--yes"]) == 0
    assert capsys.readouterr().err == "the key of contoso is destroyed\n"
    assert world.stores.keys.find(ORGANIZATION) is None
