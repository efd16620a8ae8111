"""`perminute erase`: erase a user, or all users of an organization, from a stack's records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from perminute.adapters.bucket_folders import folder_of
from perminute.adapters.dynamodb.content_keys import DynamoDBContentKeys
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.erasure import DynamoDBErasure
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.usage_archive import S3UsageArchive
from perminute.application.erase_calls import EraseCalls, Erased
from perminute.application.retry import RetryPolicy
from perminute.application.side_by_side import InThreads
from perminute.domain.errors import NotFound, Refused
from perminute.domain.values.printable import one_line
from perminute_local.deployment import calling_aws, deployed_tables, output, outputs
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator


def run_erase(
    stack_name: str, organization_id: str, user_id: str | None, *, erase: bool, as_json: bool
) -> int:
    """Count what names the user, or erase it; exit code 1 if something is left."""
    with calling_aws(f"the records of {stack_name} cannot be erased"):
        use_case = _connect(stack_name)
        at = datetime.now(UTC)
        try:
            # Also before it is erased: an id that is misspelt is noticed.
            done = use_case.preview(organization_id, user_id, at)
            # Before the rest: run again after a failure, it would find nobody to erase.
            statements = _statements(stack_name, organization_id, erase=erase)
            if erase:
                done = use_case(organization_id, user_id, at)
                # And those that were written meanwhile.
                statements += _statements(stack_name, organization_id, erase=True)
        except (NotFound, Refused) as error:
            msg = f"--{error}"
            raise WrongCall(msg) from error
    if as_json:
        write_json(_document(done, user_id, statements, erased=erase))
    else:
        write_lines(_lines(done, statements))
    for line in _remarks(done, user_id, erased=erase):
        remark(line)
    return 1 if erase and done.left else 0


def _connect(stack_name: str) -> EraseCalls:
    tables = Tables.bind(connect(), deployed_tables(stack_name))
    bucket = outputs(stack_name).get("UsageArchiveBucketName")
    return EraseCalls(
        credit=DynamoDBCreditStore(tables),
        licensing=DynamoDBLicensingStore(tables),
        content=DynamoDBRecordedContent(tables),
        erasure=DynamoDBErasure(tables),
        keys=DynamoDBContentKeys(tables.connection, output(stack_name, "ContentKeysTableName")),
        reratings=DynamoDBReratings(tables),
        retry=RetryPolicy(),
        archive=S3UsageArchive(lambda: boto3.client("s3"), bucket) if bucket else None,
        run_all=InThreads(),
    )


def _statements(stack_name: str, organization_id: str, *, erase: bool) -> int:
    """Count the files of statements, in all versions, or delete them: they name organizers.

    Whoever asks for one gets it anew, with pseudonyms.
    """
    bucket = outputs(stack_name).get("StatementsBucketName")
    if bucket is None:
        return 0
    versions = boto3.resource("s3").Bucket(bucket).object_versions
    of_organization = list(versions.filter(Prefix=folder_of(organization_id)))
    for version in of_organization if erase else ():
        # One by one: S3's answer about many would not fail if it has left some of them.
        version.delete()
    return len(of_organization)


def _document(
    done: Erased, user_id: str | None, statements: int, *, erased: bool
) -> dict[str, Any]:
    found = done.others
    return {
        "organizationId": done.organization_id,
        "userId": user_id,
        "erased": erased,
        "users": done.users,
        "calls": done.calls,
        "lists": found.lists,
        "counters": found.counters,
        "notifications": found.notifications,
        "events": found.events,
        "notEnded": found.not_ended,
        "statementFiles": statements,
        "archiveFiles": done.archived,
        "left": done.left,
    }


def _lines(done: Erased, statements: int) -> Iterator[str]:
    found = done.others
    for what, count in (
        ("users", done.users),
        ("calls", done.calls),
        ("lists of calls", found.lists),
        ("spend counters", found.counters),
        ("notifications", found.notifications),
        ("processed events", found.events),
        ("calls that never ended", found.not_ended),
        ("files of statements", statements),
        ("files of archived calls", done.archived),
    ):
        yield f"{count:>9}  {what}"


def _remarks(done: Erased, user_id: str | None, *, erased: bool) -> Iterator[str]:
    if not erased:
        yield "nothing is erased; the same command with --yes erases it, and cannot be undone"
        if done.left:
            yield f"recent or under way: {done.left}, which can be erased in two days"
    elif done.left:
        yield (
            f"left: {done.left} that are recent, under way, or have just been changed; run the "
            "same command again in two days"
        )
    elif user_id is None:
        yield f"the key of {one_line(done.organization_id)} is destroyed"
