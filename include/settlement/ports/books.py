"""The books: one transaction on the settlement database, with a repository for each subject."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.ports.approvals import Approvals
    from settlement.ports.bank_lines import BankLines, InTransit
    from settlement.ports.breaks import Breaks
    from settlement.ports.close import Close
    from settlement.ports.days import Backfills, DayRun, Days
    from settlement.ports.explain import Explanations
    from settlement.ports.files import PaymentFiles
    from settlement.ports.inputs import BookedInputs
    from settlement.ports.journal import Journal
    from settlement.ports.month import Months
    from settlement.ports.opening import Opening
    from settlement.ports.outbox import Outbox
    from settlement.ports.outcomes import Outcomes
    from settlement.ports.payouts import Payouts
    from settlement.ports.refunds import Refunds
    from settlement.ports.replays import Replays


class NotifyingBooks(Protocol):
    """One transaction on the ledger, as far as telling people of a failure needs it."""

    @property
    def days(self) -> Days: ...
    @property
    def backfills(self) -> Backfills: ...
    @property
    def outbox(self) -> Outbox: ...


class Books(NotifyingBooks, Protocol):
    """One transaction on the ledger. Everything in it is committed together when its context ends, or nothing is."""

    @property
    def inputs(self) -> BookedInputs: ...
    @property
    def outcomes(self) -> Outcomes: ...
    @property
    def opening(self) -> Opening: ...
    @property
    def replays(self) -> Replays: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def payouts(self) -> Payouts: ...
    @property
    def refunds(self) -> Refunds: ...
    @property
    def files(self) -> PaymentFiles: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def bank_lines(self) -> BankLines: ...
    @property
    def in_transit(self) -> InTransit: ...
    @property
    def breaks(self) -> Breaks: ...
    @property
    def close(self) -> Close: ...
    @property
    def explain(self) -> Explanations: ...
    @property
    def months(self) -> Months: ...


class NotifyingLedger(Protocol):
    """The settlement database, as far as telling people of a failure needs it."""

    def books(self, *, settlement_date: date | None = None) -> AbstractContextManager[NotifyingBooks]:
        """Open a transaction under the date's lock."""


class Ledger(Protocol):
    """The settlement database."""

    def books(
        self,
        *,
        day: DayRun | None = None,
        settlement_date: date | None = None,
        posting: bool = False,
        read_only: bool = False,
        is_kept: bool = True,
    ) -> AbstractContextManager[Books]:
        """Open a transaction: takes the date's lock, checks that the day still belongs to this run, and with
        `posting` takes the lock under which everything is posted, so that postings never interleave. Of one that is
        not kept nothing remains: a dry run does there what it would do."""
