"""Prepaid credit expires, and overdue calls and digests are processed, once a day."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
