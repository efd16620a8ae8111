"""The system as it is built and deployed, on an embedded AWS that runs its functions."""
