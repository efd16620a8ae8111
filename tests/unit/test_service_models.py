"""What botocore knows of AWS's services is read fast, and alike."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session

from perminute.adapters.service_models import load_fast

FILES = ("endpoints", "partitions", "_retry", "sdk-default-configuration")


@pytest.mark.parametrize("service", ["dynamodb", "s3", "sns", "sqs"])
def test_models_are_read_as_botocore_reads_them(service: str) -> None:
    session = Session()
    load_fast(session)
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        fast = loader.load_service_model(service, kind)
        assert json.dumps(fast) == json.dumps(Loader().load_service_model(service, kind))


@pytest.mark.parametrize("name", FILES)
def test_what_services_share_is_read_as_botocore_reads_it(name: str) -> None:
    session = Session()
    load_fast(session)
    fast = session.get_component("data_loader").load_data(name)
    assert json.dumps(fast) == json.dumps(Loader().load_data(name))


def test_a_model_that_does_not_exist_is_missed() -> None:
    session = Session()
    load_fast(session)
    with pytest.raises(UnknownServiceError):
        session.create_client("nonsense", "us-east-1")
