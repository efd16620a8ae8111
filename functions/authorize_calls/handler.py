"""Serve the charging API to bridges (template.yaml: AuthorizeCallsFunction)."""

from __future__ import annotations

import os
from functools import partial

from perminute.api.http import ApiFunction, http_response
from perminute.api.serving import metric_of, serve_http, serve_invocation
from perminute.aws import AwsResources
from perminute.bootstrap.authorize_calls import charging_api
from perminute.observability import lambda_handler, named_run
from perminute.settings import TokenSettings

api = charging_api(AwsResources(os.environ))
tokens = TokenSettings.from_environment(os.environ)
handler = lambda_handler(
    named_run(
        ApiFunction(
            over_http=partial(serve_http, api, tokens=tokens),
            invoked=partial(serve_invocation, api),
            response=http_response,
            metric_of=metric_of,
        ).answer
    )
)
