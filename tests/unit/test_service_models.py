"""What botocore knows of AWS's services is read fast, and alike."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import botocore
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.session import Session

from perminute.adapters.service_models import load_fast

DATA = Path(botocore.__file__).parent / "data"
FILES = ("endpoints", "partitions", "_retry", "sdk-default-configuration")


def content(name: str) -> object:
    # Not by botocore's loader: the tests share what it has read, and its clients change that.
    plain = DATA / f"{name}.json"
    text = (
        plain.read_bytes()
        if plain.is_file()
        else gzip.decompress(plain.with_suffix(".json.gz").read_bytes())
    )
    return json.loads(text)


@pytest.mark.parametrize("service", ["dynamodb", "s3", "sns", "sqs"])
def test_models_are_read_as_botocore_reads_them(service: str) -> None:
    session = Session()
    load_fast(session)
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        name = f"{service}/{loader.determine_latest_version(service, kind)}/{kind}"
        assert json.dumps(loader.load_data(name)) == json.dumps(content(name))


@pytest.mark.parametrize("name", FILES)
def test_what_services_share_is_read_as_botocore_reads_it(name: str) -> None:
    session = Session()
    load_fast(session)
    fast = session.get_component("data_loader").load_data(name)
    assert json.dumps(fast) == json.dumps(content(name))


def test_a_model_that_does_not_exist_is_missed() -> None:
    session = Session()
    load_fast(session)
    with pytest.raises(UnknownServiceError):
        session.create_client("nonsense", "us-east-1")
