"""What a day came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.frames import Outcome
    from settlement.domain.policy import Policy
    from settlement.ports.days import DayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The frozen inputs of a revision: where they are, their hash, and the books they were frozen against."""

    input_sha256: str
    books_version: int


class Outcomes(Protocol):
    """Frozen inputs on record, and what a day came to."""

    def frozen(self, day: DayRun) -> Frozen | None: ...
    def keep_frozen(self, day: DayRun, input_sha256: str, *, now: datetime) -> Frozen: ...
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
