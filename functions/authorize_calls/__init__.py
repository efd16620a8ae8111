"""Calls are authorized before money is spent."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
