"""Writes the statements of a month as files that people read, print and file."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
