"""The reports: one module for each, with its parameters, its answer and how it is made."""
