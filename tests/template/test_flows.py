"""Rule, queue and function of each flow fit together: what no linter looks at."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from translated import translate

from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.domain.licensing.timelines import RERATING_HORIZON
from perminute.domain.reconciliation.book_checks import WHOLE_WITHIN_DAYS
from perminute.settings import TableNames
from perminute.sqs import MAX_HIDDEN_SECONDS
from perminute_local.replay.streams import matches
from perminute_local.stack import Template, environment_of, resources

SQS_EVENT = {
    "Queue",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "ScalingConfig",
}
KNOWN = {
    "SQS": SQS_EVENT,
    "DynamoDB": {
        "Stream",
        "StartingPosition",
        "BatchSize",
        "FilterCriteria",
        "FunctionResponseTypes",
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "DestinationConfig",
    },
    "ScheduleV2": {
        "OmitName",
        "Description",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "FlexibleTimeWindow",
        "Input",
        "RoleArn",
        "RetryPolicy",
        "DeadLetterConfig",
    },
}
DEAD_LETTERS = {
    "CallsQueue": "CallsDeadLetters",
    "LicensingQueue": "LicensingDeadLetters",
    "CreditQueue": "CreditDeadLetters",
    "ReratingsQueue": "ReratingsDeadLetters",
    "ExpiriesQueue": "ExpiriesDeadLetters",
    "ReconciliationsQueue": "ReconciliationsDeadLetters",
    "MaskingsQueue": "MaskingsDeadLetters",
    "RecordsQueue": "RecordsDeadLetters",
    "StatementsQueue": "StatementsDeadLetters",
}


DAILY_RUNS = (
    "ExpireCreditFunction",
    "ReconcileBooksFunction",
    "MaskNumbersFunction",
    "RenderStatementsFunction",
)
"""Functions that queue the work of a day, or of a month, for themselves."""

APIS = ("AuthorizeCallsFunction", "ReadReportsFunction")
"""The functions that the charging API asks."""

WEBHOOKS = "ReceiveWebhooksFunction"
ASKING_GRAPH = ("PullGraphCallsFunction", "PullGraphLicensesFunction")

STREAM_READERS = {
    "PublishNotificationsFunction": "NotificationsDeadLetters",
    "QueueReratingsFunction": "WakeupsDeadLetters",
}
"""Who reads the stream of the credit table, and where it says what it gave up."""


def functions(template: Template) -> dict[str, Any]:
    return dict(resources(template, "AWS::Serverless::Function"))


def queues(template: Template) -> dict[str, Any]:
    return {name: queue["Properties"] for name, queue in resources(template, "AWS::SQS::Queue")}


def triggers(template: Template, kind: str) -> dict[str, Any]:
    """What makes functions run, of one kind, by the function's name."""
    return {
        name: event["Properties"]
        for name, function in functions(template).items()
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == kind
    }


def mappings(template: Template) -> dict[str, Any]:
    """The queues that functions read."""
    return triggers(template, "SQS")


def logical_id(value: Any) -> str:
    """Name the resource that `!Ref` or `!GetAtt` points at."""
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


def senders(template: Template, queue: str) -> set[str]:
    """Name the rules that EventBridge may send to this queue for."""
    sources: set[str] = set()
    for _, policy in resources(template, "AWS::SQS::QueuePolicy"):
        if queue not in map(logical_id, policy["Properties"]["Queues"]):
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                continue
            granted = (statement["Effect"], statement["Principal"], statement["Action"])
            assert granted == ("Allow", {"Service": "events.amazonaws.com"}, "sqs:SendMessage")
            assert logical_id(statement["Resource"]) == queue
            arns = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            for arn in arns if isinstance(arns, list) else [arns]:
                sources.add(logical_id(arn["Fn::If"][1] if "Fn::If" in arn else arn))
    return sources


def test_named_senders_of_this_account_may_send_calls_without_the_bus_and_to_no_other_queue(
    template: Template,
) -> None:
    conditional = [
        statement["Fn::If"]
        for _, policy in resources(template, "AWS::SQS::QueuePolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "Fn::If" in statement
    ]
    statement = {
        "Sid": "SendersOfThisAccountMayDeliverCalls",
        "Effect": "Allow",
        "Principal": {"AWS": {"Ref": "CallSenders"}},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["CallsQueue", "Arn"]},
        "Condition": {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}},
    }
    assert conditional == [["HasCallSenders", statement, {"Ref": "AWS::NoValue"}]]
    assert template["Parameters"]["CallSenders"]["Default"] == "nobody"


def test_every_function_runs_by_one_thing_known_here_and_perhaps_a_schedule(
    template: Template,
) -> None:
    kinds = {kind: set(triggers(template, kind)) for kind in ("SQS", "DynamoDB", "ScheduleV2")}
    assert kinds == {
        "SQS": {
            "ChargeCallsFunction",
            "ApplyLicensingFunction",
            "BookCreditFunction",
            "RerateCallsFunction",
            "IngestRecordsFunction",
            *DAILY_RUNS,
        },
        "DynamoDB": set(STREAM_READERS),
        "ScheduleV2": {*DAILY_RUNS, "QueueReratingsFunction", *ASKING_GRAPH},
    }
    assert set.union(*kinds.values(), APIS, {WEBHOOKS}) == set(functions(template))
    events = {n: len(f["Properties"].get("Events", "")) for n, f in functions(template).items()}
    by_two = {name for name, number in events.items() if number == 2}
    assert by_two == kinds["ScheduleV2"] - set(ASKING_GRAPH)
    assert max(events.values()) == 2


def test_a_daily_run_reads_what_it_queues_and_is_not_taken_for_a_loop(template: Template) -> None:
    """Lambda stops a function after some sixteen messages to itself that follow from each other."""
    for name in DAILY_RUNS:
        function = functions(template)[name]
        queue = environment_of(function, template)["WORK_QUEUE_URL"]["Ref"]
        assert logical_id(mappings(template)[name]["Queue"]) == queue
        assert function["Properties"]["RecursiveLoop"] == "Allow"
    loops = {n for n, f in functions(template).items() if "RecursiveLoop" in f["Properties"]}
    # It queues the calls of a large event again, once (`test_calls_ended`).
    # A large object becomes messages of its parts.
    assert loops == {*DAILY_RUNS, "ChargeCallsFunction", "IngestRecordsFunction"}
    translated = dict(resources(translate(template), "AWS::Lambda::Function"))
    assert {translated[name]["Properties"]["RecursiveLoop"] for name in loops} == {"Allow"}


def test_every_function_reports_each_failed_message_by_itself(template: Template) -> None:
    read = mappings(template) | triggers(template, "DynamoDB")
    reported = {name: mapping["FunctionResponseTypes"] for name, mapping in read.items()}
    assert reported == {name: ["ReportBatchItemFailures"] for name in read}


def test_no_property_of_an_event_is_misspelt(template: Template) -> None:
    # `sam validate --lint` and cfn-lint let `BatchSizee` pass, and SAM then takes the default.
    for kind, known in KNOWN.items():
        for name, properties in triggers(template, kind).items():
            assert set(properties) - known == set(), name
    scaling = {name: mapping["ScalingConfig"] for name, mapping in mappings(template).items()}
    assert scaling == {
        name: {"MaximumConcurrency": {"Ref": f"{name.removesuffix('Function')}Concurrency"}}
        for name in mappings(template)
    }


def test_a_batch_of_calls_is_what_one_transaction_charges(template: Template) -> None:
    assert mappings(template)["ChargeCallsFunction"]["BatchSize"] == CALLS_PER_BATCH


def test_how_much_runs_at_once_is_within_what_lambda_takes(template: Template) -> None:
    for mapping in mappings(template).values():
        allowed = template["Parameters"][mapping["ScalingConfig"]["MaximumConcurrency"]["Ref"]]
        assert (allowed["MinValue"], allowed["MaxValue"]) == (2, 1000)
        assert 2 <= allowed["Default"] <= 1000


def test_one_record_of_the_stream_cannot_block_its_shard(template: Template) -> None:
    bounds = ("BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds")
    for name, mapping in triggers(template, "DynamoDB").items():
        assert {bound: mapping[bound] for bound in bounds} == {
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 300,
            "MaximumRecordAgeInSeconds": 3600,
        }
        # Unlike with a queue, what is given up here is not in it: the table keeps that.
        given_up = logical_id(mapping["DestinationConfig"]["OnFailure"]["Destination"])
        assert given_up == STREAM_READERS[name]


def test_each_reader_of_the_stream_begins_at_its_beginning_and_sees_its_own_records(
    template: Template,
) -> None:
    key = "organizationId"
    unsettled = {"unsettled": {"S": "[]"}}
    step = {**unsettled, "step": {"S": "next"}}

    def readers(record: str, event: str, image: object = None) -> set[str]:
        changed = {
            "eventName": event,
            "dynamodb": {
                "Keys": {key: {"S": "contoso"}, "record": {"S": record}},
                "NewImage": image or {"used": {"S": "{}"}},
            },
        }
        return {
            name
            for name, mapping in triggers(template, "DynamoDB").items()
            for one in mapping["FilterCriteria"]["Filters"]
            if matches(json.loads(one["Pattern"]), changed)
        }

    for mapping in triggers(template, "DynamoDB").values():
        assert mapping["Stream"] == {"Fn::GetAtt": ["CreditTable", "StreamArn"]}
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
    publisher, waking = STREAM_READERS
    for event in ("INSERT", "MODIFY"):
        assert readers("outbox#1", event) == {publisher}
        assert readers("rerating#event#1", event) == {waking}
        assert readers("pool#2026-11", event, step) == {waking}
        # A call that draws on an unsettled pool is no step of settling it.
        assert readers("pool#2026-11", event, unsettled) == set()
        assert readers("pool#2026-11", event) == set()
        assert readers("heartbeat", event) == {publisher, waking}
    for other in ("outbox#1", "rerating#event#1"):
        assert readers(other, "REMOVE") == set()
    for other in ("entry#000000000001", "account", "calls#2026-11-02"):
        assert readers(other, "INSERT") == set()


def test_a_scheduled_run_knows_its_time_and_one_that_fails_is_kept(template: Template) -> None:
    for name, schedule in triggers(template, "ScheduleV2").items():
        assert json.loads(schedule["Input"]) == {"time": "<aws.scheduler.scheduled-time>"}
        assert schedule["ScheduleExpressionTimezone"] == "UTC"
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        # What is there only if it is asked for has a role of its own.
        kind = {
            "MaskNumbersFunction": "Masking",
            "RenderStatementsFunction": "Statements",
            **dict.fromkeys(ASKING_GRAPH, "Graph"),
        }
        assert logical_id(schedule["RoleArn"]) == f"{kind.get(name, '')}SchedulerRole"
        invoked = functions(template)[name]["Properties"]["EventInvokeConfig"]
        if name == "PullGraphLicensesFunction":
            # The next run, after a quarter of an hour, does what one that failed did not.
            assert (invoked["MaximumRetryAttempts"], "DestinationConfig" in invoked) == (0, False)
            assert logical_id(schedule["DeadLetterConfig"]["Arn"]) == "ScheduledRunsDeadLetters"
            continue
        assert invoked["MaximumRetryAttempts"] == 2
        for kept in (
            schedule["DeadLetterConfig"]["Arn"],
            invoked["DestinationConfig"]["OnFailure"]["Destination"],
        ):
            assert logical_id(kept) == "ScheduledRunsDeadLetters"


def test_what_was_forgotten_is_woken_before_lots_expire_and_the_books_are_checked(
    template: Template,
) -> None:
    scheduled = triggers(template, "ScheduleV2")
    assert {name: schedule["ScheduleExpression"] for name, schedule in scheduled.items()} == {
        "QueueReratingsFunction": "cron(35 23 * * ? *)",
        "ExpireCreditFunction": "cron(5 0 * * ? *)",
        "ReconcileBooksFunction": "cron(35 1 * * ? *)",
        # Nothing waits for these.
        "MaskNumbersFunction": "cron(5 3 * * ? *)",
        "PullGraphCallsFunction": "cron(20 4 * * ? *)",
        "PullGraphLicensesFunction": "rate(15 minutes)",
        "RenderStatementsFunction": "cron(15 6 2,4 * ? *)",
    }


def test_what_sam_makes_of_the_template_has_no_fixed_name(template: Template) -> None:
    """Two stages side by side in one account: names come from the stack, or from AWS."""
    translated = translate(template)
    named = {
        (logical_id, name)
        for logical_id, resource in translated["Resources"].items()
        for name, value in resource.get("Properties", {}).items()
        if name in {"Name", "FunctionName", "QueueName", "TableName", "TopicName", "RoleName"}
        if isinstance(value, str)
        # An alias is a name within its function, an authorizer within its API.
        if resource["Type"] not in {"AWS::Lambda::Alias", "AWS::ApiGatewayV2::Authorizer"}
    }
    assert named == set()
    schedules = [r for r in translated["Resources"].values() if "Schedule" in r["Type"]]
    assert len(schedules) == 8


def test_every_function_is_traced_and_tells_its_metrics_by_its_log(template: Template) -> None:
    for function in dict(resources(translate(template), "AWS::Lambda::Function")).values():
        said = function["Properties"]
        assert said["TracingConfig"] == {"Mode": "Active"}
        # EMF metrics are lines of level INFO: a higher one would lose them, and the alarms.
        levels = {key: said["LoggingConfig"][key] for key in ("LogFormat", "ApplicationLogLevel")}
        assert levels == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO"}


def test_the_topic_is_encrypted(template: Template) -> None:
    topic = template["Resources"]["NotificationTopic"]["Properties"]
    assert topic["KmsMasterKeyId"] == "alias/aws/sns"


def test_an_email_subscription_hears_of_no_single_calls(template: Template) -> None:
    subscription = template["Resources"]["NotificationSubscription"]
    assert subscription["Condition"] == "HasNotificationEmail"
    assert subscription["Properties"]["Protocol"] == "email"
    assert subscription["Properties"]["FilterPolicy"] == {
        "type": [{"anything-but": ["CallNotEntitled", "CallNotRated", "CallFlagged"]}]
    }


def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_take(
    template: Template,
) -> None:
    # AWS: six times the function's timeout, plus the batching window.
    timeout = template["Globals"]["Function"]["Timeout"]
    too_short = {
        name: queue
        for name, mapping in mappings(template).items()
        if (queue := queues(template)[logical_id(mapping["Queue"])])["VisibilityTimeout"]
        < 6 * functions(template)[name]["Properties"].get("Timeout", timeout)
        + mapping.get("MaximumBatchingWindowInSeconds", 0)
    }
    assert too_short == {}


def test_a_queue_that_a_function_reads_gives_up_into_dead_letters_of_its_own(
    template: Template,
) -> None:
    redrives = {
        name: (logical_id(queue["RedrivePolicy"]["deadLetterTargetArn"]), receives)
        for name, queue in queues(template).items()
        if "RedrivePolicy" in queue and (receives := queue["RedrivePolicy"]["maxReceiveCount"])
    }
    read = {logical_id(mapping["Queue"]) for mapping in mappings(template).values()}
    assert redrives == {queue: (dead, 10) for queue, dead in DEAD_LETTERS.items()}
    assert read == set(redrives)


def test_what_is_given_up_is_kept_longer_than_it_was_tried(template: Template) -> None:
    # A message keeps its age when SQS moves it.
    kept = {name: queue["MessageRetentionPeriod"] for name, queue in queues(template).items()}
    fourteen_days = 14 * 24 * 60 * 60
    assert {dead: kept[dead] for dead in kept.keys() - DEAD_LETTERS} == dict.fromkeys(
        {
            *DEAD_LETTERS.values(),
            "RuleDeadLetters",
            "UnknownEvents",
            "ScheduledRunsDeadLetters",
            *STREAM_READERS.values(),
        },
        fourteen_days,
    )
    assert {queue: kept[queue] for queue in DEAD_LETTERS if kept[queue] >= fourteen_days} == {}


def test_every_queue_is_encrypted(template: Template) -> None:
    encrypted = {name for name, queue in queues(template).items() if queue["SqsManagedSseEnabled"]}
    assert encrypted == set(queues(template))


def test_a_function_keeps_what_it_refuses_in_the_dead_letters_of_its_own_queue(
    template: Template,
) -> None:
    kept = {
        logical_id(mapping["Queue"]): logical_id(
            environment_of(functions(template)[name], template)["DEAD_LETTER_QUEUE_URL"]
        )
        for name, mapping in mappings(template).items()
    }
    assert kept == DEAD_LETTERS


def test_contended_messages_come_back_soon_but_to_daily_runs(template: Template) -> None:
    """A message of a daily run has all night, and is tried ten times in it."""
    schedules = {
        name: environment.get("QUEUE_URL")
        for name in mappings(template)
        for environment in [environment_of(functions(template)[name], template)]
    }
    assert schedules == {
        name: None if name in DAILY_RUNS else {"Ref": logical_id(mapping["Queue"])}
        for name, mapping in mappings(template).items()
    }
    hidden = {
        url["Ref"]: queues(template)[url["Ref"]]["VisibilityTimeout"]
        for url in schedules.values()
        if url
    }
    # Nobody else writes what is made of call records.
    del hidden["RecordsQueue"]
    assert set(hidden.values()) == {MAX_HIDDEN_SECONDS}


def test_every_function_is_told_what_its_settings_ask_for(template: Template) -> None:
    told = {}
    for name, function in functions(template).items():
        environment = {
            key: json.dumps(value) for key, value in environment_of(function, template).items()
        }
        told[name] = TableNames.from_environment(environment)
        if name not in (*APIS, WEBHOOKS, *ASKING_GRAPH):
            assert environment["DEAD_LETTER_QUEUE_URL"]
    waking = environment_of(functions(template)["QueueReratingsFunction"], template)
    assert waking["RERATING_QUEUE_URL"] == {"Ref": "ReratingsQueue"}
    checking = environment_of(functions(template)["ReconcileBooksFunction"], template)
    assert checking["BOOK_CHECKS_TABLE"] == {"Ref": "BookChecksTable"}
    assert checking["BOOKS_READ_WHOLE_WITHIN_DAYS"] == {"Ref": "BooksReadWholeWithinDays"}
    charging = environment_of(functions(template)["ChargeCallsFunction"], template)
    masking = environment_of(functions(template)["MaskNumbersFunction"], template)
    assert masking["NUMBERS_KEPT_DAYS"] == {"Ref": "NumbersKeptDays"}
    archive = {"Fn::If": ["ArchivesUsage", {"Ref": "UsageArchiveBucket"}, ""]}
    assert masking["USAGE_ARCHIVE_BUCKET"] == archive
    for asked in (charging, masking):
        assert asked["CONTENT_KEYS_TABLE"] == {"Ref": "ContentKeysTable"}
    publisher = environment_of(functions(template)["PublishNotificationsFunction"], template)
    assert publisher["NOTIFICATION_TOPIC_ARN"] == {"Ref": "NotificationTopic"}
    for name in APIS:
        asked = environment_of(functions(template)[name], template)
        assert asked["ORGANIZATION_CLAIM"] == {"Ref": "JwtOrganizationClaim"}
    licensing = environment_of(functions(template)["ApplyLicensingFunction"], template)
    assert licensing["RERATING_HORIZON_DAYS"] == {"Ref": "ReratingHorizonDays"}
    of_records = {
        "RenderStatementsFunction": {
            "STATEMENTS_BUCKET": "StatementsBucket",
            "NOTIFY_OF_STATEMENTS": "NotifyOfStatements",
        },
        "IngestRecordsFunction": {
            "RATE_CARD_BUCKET": "RateCardBucket",
            "CALLS_QUEUE_URL": "CallsQueue",
        },
        WEBHOOKS: {"RECORDS_QUEUE_URL": "RecordsQueue", "WEBHOOK_SECRET": "WebhookSecret"},
        "PullGraphCallsFunction": {
            "RATE_CARD_BUCKET": "RateCardBucket",
            "RECORDS_BUCKET": "RecordsBucket",
            "GRAPH_SECRET": "GraphSecret",
            "GRAPH_COSTS": "GraphCosts",
        },
        "PullGraphLicensesFunction": {
            "RATE_CARD_BUCKET": "RateCardBucket",
            "RECORDS_BUCKET": "RecordsBucket",
            "GRAPH_SECRET": "GraphSecret",
            "EVENT_BUS": "EventBus",
        },
    }
    for name, variables in of_records.items():
        asked = environment_of(functions(template)[name], template)
        assert {key: asked[key]["Ref"] for key in variables} == variables
    for name in ("ChargeCallsFunction", "RerateCallsFunction", *APIS):
        by_rates = environment_of(functions(template)[name], template)
        assert by_rates["RATE_CARD_BUCKET"] == {"Ref": "RateCardBucket"}
    tables = TableNames(
        credit='{"Ref": "CreditTable"}',
        usage='{"Ref": "UsageTable"}',
        licensing='{"Ref": "LicensingTable"}',
        events='{"Ref": "EventsTable"}',
    )
    assert told == dict.fromkeys(functions(template), tables)


def test_late_licensing_events_are_taken_as_long_as_the_code_says_unless_it_is_set(
    template: Template,
) -> None:
    parameter = template["Parameters"]["ReratingHorizonDays"]
    days = str(parameter["Default"])
    assert timedelta(days=int(days)) == RERATING_HORIZON
    assert (parameter["Type"], parameter["MinValue"]) == ("Number", 1)


def test_all_books_are_read_as_often_as_the_code_says_unless_it_is_set(template: Template) -> None:
    parameter = template["Parameters"]["BooksReadWholeWithinDays"]
    days = str(parameter["Default"])
    assert int(days) == WHOLE_WITHIN_DAYS
    assert (parameter["Type"], parameter["MinValue"]) == ("Number", 1)


def test_a_rule_may_write_to_its_queue_and_where_it_keeps_what_it_cannot_deliver(
    template: Template,
) -> None:
    # No linter notices a dead-letter queue that its rule may not write to: events would be lost.
    needed, allowed = set(), set()
    for name, rule in resources(template, "AWS::Events::Rule"):
        (target,) = rule["Properties"]["Targets"]
        for place in (target, target["DeadLetterConfig"]):
            needed.add((name, logical_id(place["Arn"])))
    for queue in queues(template):
        allowed |= {(rule, queue) for rule in senders(template, queue)}
    assert allowed == needed
