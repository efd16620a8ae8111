"""Telephony's events become charges."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
