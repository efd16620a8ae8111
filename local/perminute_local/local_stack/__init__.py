"""A stack on this machine that runs until `perminute down`: the deployed system without AWS."""

LOCAL = "local"
"""Its name for `--stack`. A stack of an AWS account with this name must be named by its ARN."""
