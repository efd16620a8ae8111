"""The links of a replay on a deployed stack: in at the bus and the API, and on by AWS itself.

The emulator carries events from the bus to the queues, runs the functions, answers HTTP, and sends
notifications to subscribers. Queues, the stream and schedules are read by us, as the deployed
template says: what the emulator makes of these is not what Lambda does (docs/adr/0012). Its queue
mappings delete messages that Lambda keeps (an answer that names none of them), read with no role,
and do not wait for a batch to fill up.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import URLLib3Session

from perminute_local.embedded_aws import REGION
from perminute_local.replay.dropped_files import drop, wait_for
from perminute_local.replay.lambda_runtime import Failure, LambdaFunction, sqs_record
from perminute_local.replay.links import RECORDS_QUEUE, answer_in, query_of, response_to, wire
from perminute_local.replay.posted_requests import refusals, request_of
from perminute_local.replay.results import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from perminute.api.http import Endpoint
    from perminute.fields import Message
    from perminute_local.deployed.clock import EmulatorClock
    from perminute_local.deployed.deploying import Deployment
    from perminute_local.replay.arrivals import Arrival
    from perminute_local.replay.plan import Delivery
    from perminute_local.replay.posted_requests import PostedRequest
    from perminute_local.replay.results import Response
    from perminute_local.stack import Function, Queue, Stack


ALIAS = "live"
LONGEST_SECONDS = 900
"""The longest that any function may take."""


class DeployedFunction(LambdaFunction):
    """A function that is asked through Lambda, by the alias that everything else calls too."""

    def __init__(self, function: Function, physical_name: str, client: LambdaClient) -> None:
        super().__init__(function)
        self.physical_name = physical_name
        self._client = client

    def call(self, event: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever JSON can say
        answer = self._client.invoke(
            FunctionName=self.physical_name, Qualifier=ALIAS, Payload=json.dumps(event)
        )
        content = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            sys.stderr.write(f"{self.name}: {json.dumps(content, indent=1)}\n")
            return None
        result: dict[str, Any] = content
        return result

    def session(self) -> boto3.Session:
        role = self._client.get_function_configuration(FunctionName=self.physical_name)["Role"]
        given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName=self.name)
        credentials = given["Credentials"]
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )


def deployed_functions(stack: Stack, names: Mapping[str, str]) -> dict[str, DeployedFunction]:
    """Find all functions of a stack; `names` are the physical ones by logical ids."""
    # An invocation is waited for, and never made twice.
    retry = Config(read_timeout=LONGEST_SECONDS + 60, retries={"total_max_attempts": 1})
    client = boto3.client("lambda", config=retry)
    return {
        function.name: DeployedFunction(function, names[function.name], client)
        for function in stack.functions
    }


SQS_BATCH = 10
"""Messages that SQS returns, or deletes, in one request."""


class QueueMapping:
    """What `template.yaml` says of a queue and its function."""

    def __init__(
        self, queue: Queue, batch_size: int, function: LambdaFunction, client: SQSClient
    ) -> None:
        self._queue = queue
        self._batch_size = batch_size
        self._function = function
        self._client = client

    def poll(self, batch_size: int | None = None) -> int:
        """Invoke the function with a batch of the queue; return the number of messages.

        Those that failed come again when they have been hidden for as long as the queue says.
        """
        messages = self._receive(batch_size or self._batch_size)
        if messages:
            failed = self._function.failed_of([self._record(message) for message in messages])
            self._delete([message for message in messages if message["MessageId"] not in failed])
        return len(messages)

    def hidden(self) -> int:
        """Count the messages that have failed and will come again."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def hidden_seconds(self) -> int:
        """Return how many seconds they are hidden."""
        return self._count("VisibilityTimeout")

    def _count(self, name: Any) -> int:  # noqa: ANN401 - the stubs know it as a literal
        answer = self._client.get_queue_attributes(QueueUrl=self._queue.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _receive(self, size: int) -> list[MessageTypeDef]:
        messages: list[MessageTypeDef] = []
        while len(messages) < size:
            found = self._client.receive_message(
                QueueUrl=self._queue.url,
                MaxNumberOfMessages=min(SQS_BATCH, size - len(messages)),
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            if not found:
                break
            messages += found
        return messages

    def _record(self, message: MessageTypeDef) -> dict[str, Any]:
        identity = message["MessageId"], message["ReceiptHandle"]
        attributes = cast("Mapping[str, str]", message["Attributes"])
        return sqs_record(*identity, message["Body"], attributes, self._queue.arn)

    def _delete(self, messages: list[MessageTypeDef]) -> None:
        for start in range(0, len(messages), SQS_BATCH):
            self._client.delete_message_batch(
                QueueUrl=self._queue.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages[start : start + SQS_BATCH])
                ],
            )


API, WEBHOOKS = "ChargingApi", "WebhookApi"
REPEATS = 20
"""How often a bridge sends a request that could not be carried out just now."""


class Deployed:
    """A stack on an embedded AWS whose clock we hold."""

    def __init__(self, deployment: Deployment, time: EmulatorClock, *, at_once: int = 1) -> None:
        self.stack = deployment.stack
        self._time = time
        self._at_once = at_once
        functions = deployed_functions(deployment.stack, deployment.names)
        self._wiring = wire(
            deployment.stack, lambda function: functions[function.name], as_deployed=True
        )
        readers = self._wiring.readers
        self.events_at_once = max(trigger.batch_size for trigger, _ in readers.values())
        self.mappings = [
            QueueMapping(
                deployment.stack.queues[queue],
                trigger.batch_size,
                function,
                functions[function.name].session().client("sqs"),
            )
            for queue, (trigger, function) in readers.items()
        ]
        # Not as its readers: of streams the emulator asks for rights on all resources.
        self.streams = self._wiring.streams()
        self.clock = self._wiring.clock(deployment.stack, self._work_off)
        self._bus, self._s3 = boto3.client("events"), boto3.client("s3")
        self._sqs = boto3.client("sqs")
        self._places: dict[str, str] = {}
        self._api = SignedRequests(deployment.names[API])
        self._webhooks = PostedRequests(deployment.names.get(WEBHOOKS, ""))

    def largest_batch(self, first: Delivery) -> int:
        del first
        return self.events_at_once

    def deliver(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        rejected: list[Rejected] = []
        for delivery in batch:
            if delivery.at is not None:
                self._time.set(delivery.at)
            rejected += self._put(delivery)
        self.settle(batch_size)
        return rejected

    def deliver_records(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        """Drop files and post requests, as of their times, and then process them.

        Both take the deployed way: S3 reports an object over the bus, and the API of webhooks
        answers a request. The request ids are AWS's: what is kept of a request goes by that.
        """
        rejected: list[Rejected] = []
        queued = 0
        for delivery in batch:
            if delivery.at is not None:
                self._time.set(delivery.at)
            if delivery.arrival is None:
                continue
            refused = list(self._bring(delivery.arrival))
            rejected += refused
            queued += not refused
        wait_for(queued, self.stack.queues[RECORDS_QUEUE].url, self._sqs)
        self.settle(batch_size)
        return rejected

    def _bring(self, arrival: Arrival) -> Iterator[Rejected]:
        if not arrival.is_posted:
            drop(arrival, self.stack.records_bucket, self._s3)
            return
        status, answer = self._webhooks.post(request_of(arrival))
        yield from refusals(arrival.place, status, answer)

    def deliver_sent(self, names: set[str]) -> list[Rejected] | None:
        if not self._wiring.fed_by(names, self.stack):
            return None
        self.settle()
        return []

    def response(self, request: Delivery) -> Response:
        if request.at is not None:
            self._time.set(request.at)
        return response_to(request, self._wiring.serving, self._api.ask)

    def places(self, deliveries: Iterable[Delivery]) -> Mapping[str, str]:
        # The bus gives each event a new id.
        del deliveries
        return self._places

    def _work_off(self, _name: str, at: datetime) -> Iterator[Failure]:
        self.settle()
        # Now: a stream forgets within a day, and the next event may be days later.
        for stream in self.streams:
            _, given_up = stream.pump()
            for record in given_up:
                name = record["dynamodb"]["Keys"]["record"]["S"]
                yield Failure(name, at, "could not be processed; see the function's log above")
        self.settle()

    def settle(self, batch_size: int | None = None) -> None:
        while True:
            while self._poll(batch_size):
                pass
            hidden = [mapping.hidden_seconds() for mapping in self.mappings if mapping.hidden()]
            if not hidden:
                return
            self._time.let_pass(timedelta(seconds=max(hidden) + 1))

    def _poll(self, batch_size: int | None) -> int:
        polls = [mapping.poll for mapping in self.mappings for _ in range(self._at_once)]
        with ThreadPoolExecutor(self._at_once) as pool:
            return sum(pool.map(lambda poll: poll(batch_size), polls))

    def _put(self, delivery: Delivery) -> list[Rejected]:
        event = json.loads(delivery.body)
        entry: dict[str, Any] = {
            "EventBusName": self.stack.bus_name,
            "Source": delivery.source,
            "DetailType": event.get("detail-type") or "",
            "Detail": json.dumps(event.get("detail")),
        }
        if delivery.at is not None:
            entry["Time"] = delivery.at
        (answer,) = self._bus.put_events(Entries=[entry])["Entries"]
        if "EventId" not in answer:
            return [Rejected(delivery.event_id, f"the bus: {answer.get('ErrorMessage')}")]
        self._places[answer["EventId"]] = delivery.event_id
        return []


class SignedRequests:
    """Requests to an HTTP API, signed with the keys of this process."""

    def __init__(self, api_id: str) -> None:
        keys = boto3.Session().get_credentials()
        if keys is None:
            raise NoCredentialsError
        self._signer = SigV4Auth(keys, "execute-api", REGION)
        self._endpoint = boto3.client("apigatewayv2").meta.endpoint_url
        self._host = f"{api_id}.execute-api.localhost"
        self._http = URLLib3Session()

    def ask(
        self,
        endpoint: Endpoint[Message],
        path: dict[str, str],
        content: dict[str, Any],
        _at: datetime,
    ) -> dict[str, Any]:
        """Send a request, again while it is answered 503; the emulator's clock times it."""
        url = self._endpoint + endpoint.path.format(
            **{name: quote(value, safe="") for name, value in path.items()}
        )
        query = query_of(content, path)
        reading = endpoint.method == "GET"
        request = AWSRequest(
            method=endpoint.method,
            url=f"{url}?{urlencode(query)}" if reading else url,
            data=None if reading else json.dumps(content),
            headers={"Host": self._host, "content-type": "application/json"},
        )
        self._signer.add_auth(request)
        for _ in range(REPEATS):
            response = self._http.send(request.prepare())
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        return answer_in(response.headers, response.text)


class PostedRequests:
    """Requests to the HTTP API of webhooks, which are signed by what sends them, if at all."""

    def __init__(self, api_id: str) -> None:
        self._endpoint = boto3.client("apigatewayv2").meta.endpoint_url
        self._host = f"{api_id}.execute-api.localhost"
        self._http = URLLib3Session()

    def post(self, request: PostedRequest) -> tuple[int, str]:
        """Send a request, again while it is answered 503; return status and body of the answer."""
        url = f"{self._endpoint}{request.path}{'?' if request.query else ''}{request.query}"
        # The host and the length are headers of this connection.
        headers = {**request.headers, "host": self._host}
        headers.pop("content-length", None)
        sent = AWSRequest(method="POST", url=url, data=request.body, headers=headers)
        for _ in range(REPEATS):
            response = self._http.send(sent.prepare())
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        return response.status_code, response.text
