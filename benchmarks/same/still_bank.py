"""Runs `mock-bank` with a clock that stands still between advances; a process of its own executes this file.

The pipeline takes messages that came together in the order of their digests. With a clock that ticks each message has
another instant in it at every run, so another digest, another place, and what is numbered as it comes another number.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from mockbank import __main__ as mockbank
from mockbank import clock

STANDS_AT = datetime.now(UTC)
"""Where the clock is started from; what is said of it on the command line, and every advance, counts from here."""


class StillClock(clock.Clock):  # type: ignore[misc]  # the package has no types
    """The bank's clock, moved by advances and by nothing else."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"real": lambda: STANDS_AT})


if __name__ == "__main__":
    clock.Clock = StillClock
    sys.exit(mockbank.main())
