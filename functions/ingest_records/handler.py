"""Reads the call records of other systems (template.yaml: IngestRecordsFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.ingest_records import ingest_records
from perminute.bootstrap.queues import rejections
from perminute.events.records import parse_records_message
from perminute.reports import report_ingested
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
handler = sqs_handler(
    parse=parse_records_message,
    use_case=ingest_records(aws),
    rejections=rejections(aws),
    report=report_ingested,
)
