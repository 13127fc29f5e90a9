"""What a day came to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.breaks import Finding
    from settlement.domain.computation.restatement import Differences
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


class Posting(Protocol):
    """What a day came to, on its way into the books. Nobody sees any of it before the transaction is committed."""

    def take(self, part: Outcome, *, arrived: pd.DataFrame) -> None:
        """Write the next part of the day; its rows are numbered on from those of the part before it.

        `arrived` are the repayments of the part that the run takes, with when each came (received_at) and the
        settlement date in whose window that lies (window_on).
        """


class Outcomes(Protocol):
    """Frozen inputs on record, and what a day came to."""

    def frozen(self, day: DayRun) -> Frozen | None: ...
    def keep_frozen(self, day: DayRun, input_sha256: str, *, books_version: int, now: datetime) -> Frozen: ...
    def version(self) -> int: ...
    def is_computed(self, day: DayRun) -> bool: ...
    def posting(
        self, day: DayRun, *, policy: Policy, input_sha256: str, code_version: str, now: datetime
    ) -> AbstractContextManager[Posting]:
        """Open the posting of what the day computed; when the context ends well, what was taken is its revision."""
        ...

    def revise(
        self,
        day: DayRun,
        outcome: Outcome,
        differences: Differences,
        *,
        loans: Sequence[str],
        arrived: pd.DataFrame,
        policy: Policy,
        input_sha256: str,
        code_version: str,
        reason: str,
        by: str | None,
        now: datetime,
    ) -> None:
        """Post what loans of a settled date come to now as its next revision: rows whole, of entries what differs.

        `day` names the revision. `loans` are those of which no row of an earlier revision stands any more; `arrived` as
        in `Posting.take`. A closed day is settled again, and closed when its new revision is proven.

        Raises IntegrityError: the inputs are not those on record, or something was posted since they were read.
        """

    def take_again(self, day: DayRun, outcome: Outcome, *, arrived: pd.DataFrame, now: datetime) -> None:
        """Let repayments stand again where the date had them, whose rows and entries a replay has found unchanged."""
        ...

    def paid(self, settlement_date: date) -> pd.DataFrame:
        """Return what the shares of a date come to by loan, investor and currency, as the books stand: frame `PAID`."""

    def shares_of(self, settlement_date: date, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the shares of loans of a date, as the books stand: frame `SHADOW_SHARES`."""
