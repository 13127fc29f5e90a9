"""What a day came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.breaks import Finding
    from settlement.domain.frames import Inputs, Outcome
    from settlement.domain.policy import Policy
    from settlement.ports.days import DayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run saw: its inputs, and the number of the books that was read with them.

    `changed` is what the source says otherwise than when it was taken.
    """

    inputs: Inputs
    books_version: int
    changed: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The frozen inputs of a revision: where they are, their hash, and the books they were frozen against."""

    input_sha256: str
    books_version: int


class Outcomes(Protocol):
    """Frozen inputs on record, and what a day came to."""

    def frozen(self, day: DayRun) -> Frozen | None: ...
    def keep_frozen(self, day: DayRun, input_sha256: str, *, books_version: int, now: datetime) -> Frozen: ...
    def version(self) -> int: ...
    def is_computed(self, day: DayRun) -> bool: ...
    def post(
        self,
        day: DayRun,
        parts: Iterable[Outcome],
        *,
        arrivals: Callable[[pd.DataFrame], pd.DataFrame],
        policy: Policy,
        input_sha256: str,
        code_version: str,
        reason: str | None = None,
        now: datetime,
    ) -> str: ...
