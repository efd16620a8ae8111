"""What botocore knows of AWS's services is read fast, and alike."""

from __future__ import annotations

import gzip
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import botocore
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.session import Session

from perminute.adapters.service_models import _Files, load_fast

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(botocore.__file__).parent / "data"
FILES = ("endpoints", "partitions", "_retry", "sdk-default-configuration")


@pytest.fixture(autouse=True)
def _nothing_shared() -> Iterator[None]:
    # The tests share what was read, and clients change that.
    with patch.object(_Files, "load_file", inspect.unwrap(_Files.load_file)):
        yield


def content(name: str) -> object:
    # Not by botocore's loader: the tests share what that has read, too.
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
