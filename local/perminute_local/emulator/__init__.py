"""The emulator ministack: how it starts, and the environment in which it is installed."""
