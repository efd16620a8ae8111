"""Calls are authorized before money is spent.

What is imported stays for as long as the function lives. Looking for garbage among it, again and
again while it is being made, is a sixth of the start; so that waits until the handler is ready.
"""

import gc

gc.disable()
