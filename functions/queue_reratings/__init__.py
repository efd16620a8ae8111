"""Organizations with waiting re-ratings are queued."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
