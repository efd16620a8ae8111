"""Rate cards in their bucket: what is in force there, and how a card is put in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from botocore.exceptions import ClientError

from perminute.adapters.s3_rate_cards import POINTER_KEY, Pointer, pointer_key
from perminute.domain.errors import FaultyRateCard, Unavailable
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.aws_errors import reason
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.rate_card import RateCard


class Condition(TypedDict, total=False):
    """A precondition of `PutObject`, in AWS's words."""

    IfMatch: str
    IfNoneMatch: str


_MOVED = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
"""S3 says of a pointer that is another one, is being written just now, or was deleted."""


class InForce(NamedTuple):
    """What is in force in a bucket: its card, or why that cannot be read.

    `etag` names the pointer that was read. It is None if there is no pointer, and then `version`,
    `card` and `problem` are None too, or if the pointer may not be read.
    """

    etag: str | None
    version: str | None = None
    card: RateCard | None = None
    problem: str | None = None

    @property
    def condition(self) -> Condition:
        """Return by what S3 writes the pointer only if it is still this one."""
        if self.etag is not None:
            return {"IfMatch": self.etag}
        return {"IfNoneMatch": "*"} if self.problem is None else {}


class PointerMoved(Exception):  # noqa: N818 - what happened, and no malfunction
    """Another card was put in force after the one that was compared."""


def read_in_force(client: S3Client, bucket: str) -> InForce:
    """Read the pointer in force and its card.

    Raises:
        ClientError: AWS refuses for a reason that no other card would change.
    """
    try:
        answer = client.get_object(Bucket=bucket, Key=POINTER_KEY)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchKey":
                return InForce(None)
            case "AccessDenied":
                problem = f"{POINTER_KEY} cannot be read: {reason(error)}"
                return InForce(None, problem=problem)
        raise
    etag = answer["ETag"]
    try:
        pointer = Pointer.parse(answer["Body"].read())
    except ValueError as error:
        return InForce(etag, problem=f"{POINTER_KEY} cannot be read: {error}")
    try:
        content = client.get_object(Bucket=bucket, Key=pointer.key)["Body"].read()
        pointer.check(content)
        return InForce(etag, pointer.version, read_rate_card(content, version=pointer.version))
    except (ClientError, FaultyRateCard, Unavailable) as error:
        words = reason(error) if isinstance(error, ClientError) else str(error)
        problem = f"version {pointer.version} in {pointer.key} cannot be read: {words}"
        return InForce(etag, pointer.version, problem=problem)


def publish(
    client: S3Client, bucket: str, content: bytes, *, version: str, in_force: InForce | None = None
) -> Pointer:
    """Put the card first and the pointer in force last: no function looks for what is not there.

    Publishing that broke off in between can be done again with the same card. With `in_force` the
    pointer is written only if it is still the one that was compared.

    Raises:
        PointerMoved: it is not; the card is stored, and not in force.
    """
    pointer = store_version(client, bucket, content, version=version)
    condition = {} if in_force is None else in_force.condition
    try:
        client.put_object(Bucket=bucket, Key=POINTER_KEY, Body=pointer.content(), **condition)
    except ClientError as error:
        if condition and error.response["Error"]["Code"] in _MOVED:
            raise PointerMoved from error
        raise
    return pointer


def store_version(client: S3Client, bucket: str, content: bytes, *, version: str) -> Pointer:
    """Put a card and its own pointer, without putting it in force.

    A version is never written twice, since usage records name the version that priced them.
    """
    pointer = Pointer.of(version, content)
    try:
        client.put_object(Bucket=bucket, Key=pointer.key, Body=content, IfNoneMatch="*")
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        if client.get_object(Bucket=bucket, Key=pointer.key)["Body"].read() != content:
            msg = f"version {version} in {bucket} is another card; give this one a new version"
            raise WrongCall(msg) from error
    client.put_object(Bucket=bucket, Key=pointer_key(version), Body=pointer.content())
    return pointer
