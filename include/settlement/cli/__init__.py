"""`settlement`: what finance and engineering type. Exit status 0 done, 1 failed or found something, 2 wrong usage."""

from settlement.cli.app import app, main

__all__ = ["app", "main"]
