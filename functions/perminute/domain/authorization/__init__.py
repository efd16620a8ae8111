"""Calls while they last: who may call, how much is granted, what is reserved."""
