"""A small lender on this machine: its database, its bank, its Slack and its history.

Nothing outside this package knows it exists: the pipeline sees the same connections as in production.
"""
