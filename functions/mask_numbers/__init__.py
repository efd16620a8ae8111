"""Masks the phone numbers of calls that ended long ago."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
