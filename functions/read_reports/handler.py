"""Answer with reports on usage and credit (template.yaml: ReadReportsFunction)."""

from __future__ import annotations

import os
from functools import partial

from perminute.api.http import ApiFunction
from perminute.api.reports.responses import http_response
from perminute.api.reports.serving import metric_of, serve_http, serve_invocation
from perminute.aws import AwsResources
from perminute.bootstrap.read_reports import report_reader
from perminute.observability import lambda_handler, named_run
from perminute.settings import TokenSettings

aws = AwsResources(os.environ)
reader = report_reader(aws)
tokens = TokenSettings.from_environment(os.environ)
handler = lambda_handler(
    named_run(
        ApiFunction(
            over_http=partial(serve_http, reader, tokens=tokens),
            invoked=partial(serve_invocation, reader),
            response=http_response,
            metric_of=metric_of,
        ).answer
    )
)
