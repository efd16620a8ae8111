"""Changes of Microsoft Graph's users become licensing events."""

import gc

# While modules are imported. `lambda_handler` turns it on again.
gc.disable()
