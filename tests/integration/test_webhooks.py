"""The function that receives webhooks on moto: its handler, its secret and its queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import MagicMock, patch

import boto3
import pytest
from moto import mock_aws
from webhooks import BASE_URL, CALLBACK, CDR, EVENTS, SECRET, callback, sample, with_header

from perminute.adapters.secrets import CachedSecret
from perminute_local.bench.imports import SETTINGS
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import QUIET, Context, load_module

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = Context(function_name="ReceiveWebhooksFunction", invoked_function_arn="arn")


class Deployed(NamedTuple):
    """The handler, and clients of what is behind it."""

    handler: Any
    secrets: Any
    queues: Any
    url: str
    clock: MagicMock

    def status(self, event: Any) -> int:
        status: int = self.handler(event, CONTEXT)["statusCode"]
        return status

    def sources(self) -> list[str]:
        """The sources of the records in the queue, which is emptied."""
        found = []
        while got := self.queues.receive_message(QueueUrl=self.url).get("Messages"):
            for message in got:
                found.append(json.loads(message["Body"])["records"]["source"])
                handle = message["ReceiptHandle"]
                self.queues.delete_message(QueueUrl=self.url, ReceiptHandle=handle)
        return found

    def rotate(self, **changed: Any) -> None:
        secret = json.dumps(SECRET | changed)
        self.secrets.put_secret_value(SecretId="hooks", SecretString=secret)


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    with environment(**SETTINGS, **QUIET), mock_aws():
        queues, secrets = boto3.client("sqs"), boto3.client("secretsmanager")
        clock = MagicMock(return_value=1_000.0)
        url = queues.create_queue(QueueName="records")["QueueUrl"]
        variables = {
            **SETTINGS,
            **QUIET,
            "RECORDS_QUEUE_URL": url,
            "WEBHOOK_SECRET": "hooks",
            "WEBHOOK_URL": f"{BASE_URL}/",
        }
        with patch.dict(CachedSecret.__init__.__kwdefaults__, clock=clock):
            handler = load_module("receive_webhooks.handler", variables).handler
        yield Deployed(handler, secrets, queues, url, clock)


def test_what_is_posted_waits_in_the_queue(deployed: Deployed) -> None:
    deployed.secrets.create_secret(Name="hooks", SecretString=json.dumps(SECRET))
    assert [deployed.status(sample(name)) for name in (CALLBACK, EVENTS, CDR)] == [204] * 3
    assert deployed.status(callback("other")) == 403
    assert sorted(deployed.sources()) == [
        "freeswitch-json",
        "twilio-callback",
        "twilio-event-stream",
    ]


def test_without_its_secret_the_sender_is_to_send_again(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = deployed.handler(sample(CALLBACK), CONTEXT)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    assert "SecretsUnreadable" in capsys.readouterr().out
    assert deployed.sources() == []


def test_a_secret_that_is_rotated_is_read_a_minute_later(deployed: Deployed) -> None:
    deployed.secrets.create_secret(Name="hooks", SecretString=json.dumps(SECRET))
    rotated = with_header(sample(CDR), "authorization", "Bearer new")
    assert deployed.status(rotated) == 403
    deployed.rotate(keys={"bridge-1": "new"})
    # The secret was read a moment ago, and is not read for each request that is refused.
    assert deployed.status(rotated) == 403
    deployed.clock.return_value += 60
    assert deployed.status(rotated) == 204


def test_records_that_the_queue_does_not_take_are_to_be_sent_again(deployed: Deployed) -> None:
    deployed.secrets.create_secret(Name="hooks", SecretString=json.dumps(SECRET))
    deployed.queues.delete_queue(QueueUrl=deployed.url)
    assert deployed.status(sample(CALLBACK)) == 503
