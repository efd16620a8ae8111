"""Reports say what was used, what it cost, and why."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
