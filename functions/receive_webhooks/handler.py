"""Queue the call records that other systems post (template.yaml: ReceiveWebhooksFunction)."""

from __future__ import annotations

import os

from perminute.aws import AwsResources
from perminute.bootstrap.receive_webhooks import webhooks
from perminute.events.records import records_body
from perminute.observability import lambda_handler

handler = lambda_handler(webhooks(AwsResources(os.environ), records_body).answer)
