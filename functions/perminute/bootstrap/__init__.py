"""Puts the use cases together with their real adapters: no other code knows which is real.

One module for each function, so that no function imports use cases of others when it starts.
"""
