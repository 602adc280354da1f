"""Dagster's GraphQL as far as this package speaks it.

No input or output is done by `documents` and `replies`: who sends a document decides how.
"""
