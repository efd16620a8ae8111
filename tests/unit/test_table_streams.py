"""Records of a stream reach functions as Lambda hands them over: as the stream's JSON has them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

from perminute_local.embedded_aws import client_environment, environment
from perminute_local.replay.lambda_runtime import LambdaFunction
from perminute_local.replay.streams import Reader, TableStream
from perminute_local.stack import Function, StreamTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

RECORD = {
    "eventID": "1",
    "eventName": "INSERT",
    "dynamodb": {
        "ApproximateCreationDateTime": 1764320400.0,
        "NewImage": {"record": {"S": "usage"}, "calls": {"B": "AQI="}},
        "SequenceNumber": "1",
    },
}
DESCRIBED = {"StreamDescription": {"Shards": [{"ShardId": f"shard-{0:022}"}]}}


class Raw(NamedTuple):
    """The body of an answer, as urllib3 has it."""

    body: io.BytesIO

    def stream(self) -> Iterator[bytes]:
        yield self.body.read()


class Recorder(LambdaFunction):
    event: Any = None

    def call(self, event: Any) -> dict[str, Any]:
        self.event = event
        return {"batchItemFailures": []}


def test_times_are_numbers_and_bytes_in_base_64(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"Records": [RECORD], "NextShardIterator": "2"}
    answers = iter([DESCRIBED, {"ShardIterator": "1"}, found, {**found, "Records": []}])

    def send(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        body = io.BytesIO(json.dumps(next(answers)).encode())
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw(body))

    monkeypatch.setattr(URLLib3Session, "send", send)
    function = Recorder(Function("Recorder", "recorder.handler", {}, 30, ()))
    trigger = StreamTrigger("arn:of:the:stream:which:is:long:enough", 10, 1, ({},))
    with environment(**client_environment("http://127.0.0.1")):
        stream = TableStream(trigger.stream_arn, [Reader(trigger, function)])
        assert stream.pump() == ({"Recorder"}, [])
    assert function.event == {"Records": [RECORD]}
