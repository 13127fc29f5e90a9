"""Everything that a stage works with, chosen in `wiring`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settlement.domain.bank.messages import Message, PaymentFile, Reading
    from settlement.domain.day_report import DayReport
    from settlement.domain.days import SettlementCalendar
    from settlement.domain.policy import Policy
    from settlement.ports.bank import Bank, Debtor, Inbox
    from settlement.ports.books import Ledger, NotifyingLedger
    from settlement.ports.outbox import Alerts
    from settlement.ports.snapshots import Snapshots
    from settlement.ports.source import LendingCore


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """What telling people of a failure works with: a callback of Airflow needs no more, and imports no more."""

    policy: Policy
    calendar: SettlementCalendar
    ledger: NotifyingLedger
    alerts: Alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Notifications):
    """Everything a stage works with, chosen in `wiring`. A channel that is not configured is None."""

    ledger: Ledger
    core: LendingCore
    snapshots: Snapshots
    bank: Bank | None
    debtor: Debtor | None
    code_version: str
    write_file: Callable[[PaymentFile], bytes]
    write_report: Callable[[DayReport], bytes]
    read_message: Callable[[Message], Reading]
    reader: str = ""
    """What `read_message` is made of, in short: what one could not use, another one may."""
    is_now_set: bool = False
    landing: Inbox | None = None
