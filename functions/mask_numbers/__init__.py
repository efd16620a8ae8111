"""Phone numbers of calls that ended long ago are masked."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
