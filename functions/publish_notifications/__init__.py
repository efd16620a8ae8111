"""Committed notifications are published."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
