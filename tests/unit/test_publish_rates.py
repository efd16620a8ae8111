"""`perminute rates publish` over a bucket of moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from perminute.adapters.published_objects import PublishedObject
from perminute.adapters.rate_card_bucket import POINTER_KEY, Pointer, pointer_key
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.formats.compiled_rate_card import compile_rate_card
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.cli import main
from perminute_local.embedded_aws import environment
from perminute_local.rates import publish_rates, publishing
from perminute_local.rates.publishing import (
    InForce,
    PointerMoved,
    PreparedCard,
    publish,
    read_in_force,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

AWS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "the-cards"
HEADER = "leg_type,prefix,country,currency,rate_per_minute\n"
FIRST = HEADER + "".join(
    [
        "tollDialIn,999,XA,USD,0.01\n",
        "dialOut,998,XB,USD,0.02\n",
        *(f"dialOut,999{digit},XA,USD,0.02\n" for digit in range(10)),
    ]
)
SHRUNK = HEADER + "dialOut,9990,XA,USD,0.01\n"


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with environment(**AWS), mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rates.csv"


def run(path: Path, text: str, version: str, *options: str) -> int:
    path.write_text(text)
    command = ["rates", "publish", str(path), "--bucket", BUCKET, "--version", version]
    return main([*command, *options])


def test_the_bucket_is_found_by_the_name_of_the_stack(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = {
        "Resources": {"Cards": {"Type": "AWS::S3::Bucket"}},
        "Outputs": {"RateCardBucketName": {"Value": {"Ref": "Cards"}}},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="perminute-dev", TemplateBody=json.dumps(template))
    path.write_text(FIRST)
    command = ["rates", "publish", str(path), "--stack", "perminute-dev", "--version", "2026-11"]
    assert main([*command, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)
    assert published["bucket"] != BUCKET
    assert s3.head_object(Bucket=published["bucket"], Key=published["key"])


def prepared(text: str, version: str) -> PreparedCard:
    return PreparedCard.of(text.encode(), version)


def publish_csv_only(s3: S3Client, text: str, version: str) -> None:
    """Publish a card as perminute did before there was a compiled form."""
    content = text.encode()
    pointer = Pointer.of(version, content)
    s3.put_object(Bucket=BUCKET, Key=pointer.csv.key, Body=content)
    for key in (pointer_key(version), POINTER_KEY):
        s3.put_object(Bucket=BUCKET, Key=key, Body=pointer.content())


def version_in_force(s3: S3Client) -> str:
    return Pointer.parse(s3.get_object(Bucket=BUCKET, Key=POINTER_KEY)["Body"].read()).version


def objects(s3: S3Client) -> set[str]:
    return {one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_the_first_card_is_said_to_be_the_first(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path, FIRST, "v1") == 0
    written = capsys.readouterr()
    assert written.err == "no card is in force yet: this is the first one\n"
    assert written.out == (
        f"s3://{BUCKET}/rate-cards/v1.csv: 12 rates are in force within a minute\n"
    )
    assert version_in_force(s3) == "v1"


def test_the_difference_is_shown_by_leg_type_and_country(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path, FIRST, "v1") == 0
    capsys.readouterr()
    changed = FIRST.replace("9991,XA,USD,0.02", "9991,XA,USD,0.03").replace(
        "dialOut,9992,XA,USD,0.02\n", "dialOut,9972,XC,USD,0.02\n"
    )
    assert run(path, changed, "v2") == 0
    assert capsys.readouterr().err.splitlines() == [
        "compared with version v1, which is in force:",
        "  dialOut XA: 1 gone, 1 dearer",
        "  dialOut XC: 1 added",
        "  gone: dialOut 9992",
    ]
    assert version_in_force(s3) == "v2"
    assert run(path, changed, "v2") == 0
    assert capsys.readouterr().err.splitlines() == [
        "compared with version v2, which is in force:",
        "  no rate differs",
    ]


def test_a_card_that_lacks_much_is_refused_and_nothing_is_written_without_force(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path, FIRST, "v1") == 0
    before = objects(s3)
    capsys.readouterr()
    assert run(path, SHRUNK, "v2") == 1
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err.splitlines() == [
        "compared with version v1, which is in force:",
        "  dialOut XA: 9 gone, 1 cheaper",
        "  dialOut XB: 1 gone",
        "  tollDialIn XA: 1 gone",
        "  gone: dialOut 998, "
        + ", ".join(f"dialOut 999{digit}" for digit in range(1, 10))
        + ", tollDialIn 999",
        "perminute: not published: gone against version v1: every price of dialOut to XB; every "
        "price of tollDialIn; 11 of 12 prefixes; add the rows that are missing, or publish with "
        "--force",
    ]
    assert (version_in_force(s3), objects(s3)) == ("v1", before)
    assert run(path, SHRUNK, "v2", "--force") == 0
    assert version_in_force(s3) == "v2"


def test_json_lists_all_that_changes(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(path, FIRST, "v1", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert first == {
        "published": True,
        "refused": None,
        "bucket": BUCKET,
        "version": "v1",
        "key": "rate-cards/v1.csv",
        "rates": 12,
        "warnings": [],
        "inForce": None,
        "difference": None,
    }
    assert run(path, SHRUNK, "v2", "--json") == 1
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    difference = document.pop("difference")
    assert document.pop("refused").startswith("gone against version v1: every price of dialOut")
    assert document == {
        "published": False,
        "bucket": BUCKET,
        "version": "v2",
        "key": "rate-cards/v2.csv",
        "rates": 1,
        "warnings": [],
        "inForce": "v1",
    }
    none = dict.fromkeys(
        ("gone", "unblocked", "blocked", "otherCurrency", "dearer", "cheaper", "added"), 0
    )
    assert difference["byLegTypeAndCountry"] == [
        {"legType": "dialOut", "country": "XA", **none, "gone": 9, "cheaper": 1},
        {"legType": "dialOut", "country": "XB", **none, "gone": 1},
        {"legType": "tollDialIn", "country": "XA", **none, "gone": 1},
    ]
    assert difference["prefixes"] == 12
    assert difference["gone"]["legTypes"] == ["tollDialIn"]
    assert difference["gone"]["countries"] == [{"legType": "dialOut", "country": "XB"}]
    assert [one["prefix"] for one in difference["gone"]["prefixes"]] == [
        "998",
        *(f"999{digit}" for digit in range(1, 10)),
        "999",
    ]
    assert version_in_force(s3) == "v1"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ((POINTER_KEY, b"nonsense"), "rate-cards/current.json cannot be read: "),
        ((POINTER_KEY, b'{"version": "v1", "key": "k"}'), "has no digest, so an older perminute"),
        (
            (POINTER_KEY, Pointer("v1", PublishedObject("gone.csv", "0" * 64)).content()),
            "version v1 in gone.csv cannot be read: ",
        ),
        (
            ("rate-cards/v1.csv", b"changed"),
            "version v1 in rate-cards/v1.csv cannot be read: its SHA-256 is ",
        ),
    ],
)
def test_a_card_in_force_that_cannot_be_read_is_replaced_by_force_only(
    s3: S3Client,
    path: Path,
    capsys: pytest.CaptureFixture[str],
    written: tuple[str, bytes],
    why: str,
) -> None:
    assert run(path, FIRST, "v1") == 0
    s3.put_object(Bucket=BUCKET, Key=written[0], Body=written[1])
    assert run(path, FIRST, "v2") == 1
    err = capsys.readouterr().err
    assert "perminute: not published: the card in force cannot be compared: " in err
    assert why in err
    assert "publish with --force without comparing" in err
    assert run(path, FIRST, "v2", "--force") == 0
    assert version_in_force(s3) == "v2"


def test_a_card_in_force_with_a_fault_cannot_be_compared(s3: S3Client, path: Path) -> None:
    """One of an older perminute, say, which took UK for a country."""
    publish_csv_only(s3, HEADER + "dialOut,44,UK,USD,0.1\n", "v1")
    in_force = read_in_force(s3, BUCKET)
    assert in_force.card is None
    assert "version v1 in rate-cards/v1.csv cannot be read: line 2: country" in str(
        in_force.problem
    )
    assert run(path, FIRST, "v2") == 1
    assert run(path, FIRST, "v2", "--force") == 0


def test_of_two_who_publish_at_once_the_second_compares_again(
    s3: S3Client,
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(path, FIRST, "v1") == 0

    def overtaken(client: S3Client, bucket: str) -> InForce:
        in_force = read_in_force(client, bucket)
        publish(client, bucket, prepared(SHRUNK, "v2"))
        return in_force

    with monkeypatch.context() as patched:
        patched.setattr(publish_rates, "read_in_force", overtaken)
        assert run(path, FIRST, "v3") == 1
    assert "another card was put in force meanwhile" in capsys.readouterr().err
    assert version_in_force(s3) == "v2"
    assert run(path, FIRST, "v3") == 0


def test_the_pointer_is_written_only_if_it_is_the_one_that_was_compared(s3: S3Client) -> None:
    none = read_in_force(s3, BUCKET)
    assert none == InForce(None)
    publish(s3, BUCKET, prepared(FIRST, "v1"), in_force=none)
    with pytest.raises(PointerMoved):
        publish(s3, BUCKET, prepared(FIRST, "v2"), in_force=none)
    first = read_in_force(s3, BUCKET)
    s3.delete_object(Bucket=BUCKET, Key=POINTER_KEY)
    with pytest.raises(PointerMoved):
        publish(s3, BUCKET, prepared(FIRST, "v2"), in_force=first)


def test_a_pointer_that_may_not_be_read_is_replaced_by_force_only() -> None:
    class Refusing:
        def get_object(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    refusing: Any = Refusing()
    in_force = read_in_force(refusing, BUCKET)
    assert "rate-cards/current.json cannot be read" in str(in_force.problem)
    assert in_force.condition == {}


def test_a_few_warnings_are_listed_and_many_are_counted(
    s3: S3Client, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del s3
    assert run(path, HEADER + "dialOut,999,,USD,0.01\n", "v1") == 0
    assert f"{path}:2: warning: country: is empty" in capsys.readouterr().err
    nameless = "".join(f"dialOut,99{number},,USD,0.01\n" for number in range(70, 81))
    assert run(path, HEADER + nameless, "v2", "--force") == 0
    err = capsys.readouterr().err
    assert f"{path}: 11 warnings: perminute rates check {path} lists them\n" in err
    assert "country: is empty" not in err


def test_a_card_is_published_in_both_forms(s3: S3Client, path: Path) -> None:
    assert run(path, FIRST, "v1") == 0
    assert objects(s3) == {
        "rate-cards/v1.csv",
        "rate-cards/v1.compiled-1",
        "rate-cards/pointers/v1.json",
        "rate-cards/current.json",
    }
    card = S3RateCards(lambda: s3, BUCKET, report=pytest.fail).current()
    assert set(card.rates) == set(read_rate_card(FIRST.encode()).rates)
    (in_force, own) = (
        s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for key in (POINTER_KEY, pointer_key("v1"))
    )
    assert in_force == own


def test_a_card_of_an_older_perminute_gets_a_compiled_form_when_published_again(
    s3: S3Client, path: Path
) -> None:
    publish_csv_only(s3, FIRST, "v1")
    assert read_in_force(s3, BUCKET).card is not None
    assert run(path, FIRST, "v1") == 0
    assert "rate-cards/v1.compiled-1" in objects(s3)
    pointer = Pointer.parse(s3.get_object(Bucket=BUCKET, Key=POINTER_KEY)["Body"].read())
    assert pointer == prepared(FIRST, "v1").pointer


def test_publishing_a_card_once_more_mends_its_compiled_form(s3: S3Client, path: Path) -> None:
    assert run(path, FIRST, "v1") == 0
    key = "rate-cards/v1.compiled-1"
    sound = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=sound[:-1])
    assert run(path, FIRST, "v1") == 0
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == sound


def test_a_compiled_form_that_has_other_rates_is_not_published(
    s3: S3Client, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "compile_rate_card", lambda rates: compile_rate_card(rates[1:]))
    with pytest.raises(AssertionError, match="the compiled form of rate card v1 has other rates"):
        run(path, FIRST, "v1")
    assert objects(s3) == set()
