"""Write statements, after each month and on demand (template.yaml: RenderStatementsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.api.rendering import rendering_handler
from perminute.aws import AwsResources
from perminute.bootstrap.queues import rejections
from perminute.bootstrap.render_statements import monthly_statements, rendering
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_rendered

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

aws = AwsResources(os.environ)
render = rendering(aws)
on_demand = rendering_handler(render)
monthly = daily_run_handler(monthly_statements(aws, render), rejections(aws), report_rendered)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - of either
    """Serve the function for reports, a schedule, or messages of a run."""
    return (on_demand if "operation" in event else monthly)(event, context)
