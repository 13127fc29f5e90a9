"""Being told of every point at which a process can die: the commits of our databases, and the calls on the bank.

Both are watched from outside, without the product's knowledge, and named as `settlement.stages.points` names them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from settlement import wiring
from settlement.ports.bank import Bank, Debtor
from sqlalchemy.engine.default import DefaultDialect

Watch = Callable[[str, str], None]
"""Told of each point: its name, and `before` or `after`."""


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have every writing commit, and every call on the bank of services built meanwhile, told to `watch`."""
    commit: Callable[[Any, Any], None] = DefaultDialect.do_commit
    channel = wiring.bank_channel

    def do_commit(self: Any, connection: Any) -> None:
        if connection.execute("show transaction_read_only").fetchone()[0] == "on":
            commit(self, connection)
            return
        point = who_commits(sys._getframe())
        watch(point, "before")
        commit(self, connection)
        watch(point, "after")

    def bank_channel() -> tuple[Bank | None, Debtor | None]:
        bank, debtor = channel()
        return (_WatchedBank(bank, watch) if bank else None), debtor

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]  # what every commit passes
    wiring.bank_channel = bank_channel
    try:
        yield
    finally:
        DefaultDialect.do_commit = commit  # type: ignore[method-assign]  # what every commit passes
        wiring.bank_channel = channel


def who_commits(frame: FrameType | None) -> str:
    """Return the name of the stage's function whose transaction ends here."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent.name == "stages" and path.parent.parent.name == "settlement":
            return f"{path.stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "nobody knows"


@dataclass
class _WatchedBank:
    """The bank channel, with each call told."""

    bank: Any
    watch: Watch

    @property
    def checks_duplicates(self) -> bool:
        return bool(self.bank.checks_duplicates)

    @property
    def answers_later(self) -> bool:
        return bool(self.bank.answers_later)

    def describe(self) -> str:
        return str(self.bank.describe())

    def submit(self, file_id: str, content: bytes) -> Any:
        return self._told("submit", file_id, content)

    def fetch(self) -> Any:
        return list(self._told("fetch"))

    def acknowledge(self, messages: Any) -> Any:
        return list(self._told("acknowledge", messages))

    def _told(self, name: str, *arguments: Any) -> Any:
        self.watch(f"bank.{name}", "before")
        answer = getattr(self.bank, name)(*arguments)
        self.watch(f"bank.{name}", "after")
        return answer
