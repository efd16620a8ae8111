"""A stack on this machine that lasts until `perminute down`: all that is deployed, without AWS."""

LOCAL = "local"
"""Its name, as of `--stack`. A stack of an AWS account that is called so goes by its ARN."""
