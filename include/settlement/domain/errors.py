"""Why something is refused or has to wait: what a person reads, and whether trying again helps."""

from datetime import datetime


class Refused(Exception):
    """The day stops here until a person does what the message says; trying again changes nothing."""


class Unavailable(Exception):
    """Something outside did not answer; the message names it. Trying again later may work."""


class NotYet(Exception):
    """What is needed has not come; ask again until [until]."""

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Displaced(Refused):
    """Another run has opened this settlement date since: this one stops and writes nothing."""


class MissingConnection(Refused):
    """A connection that is needed is not configured; the message names it and how to set it."""
