"""The part of the books that keeps breaks: opened once, aged in business days, resolved when they are gone."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.domain.breaks import Finding
from settlement.domain.days import SettlementCalendar


class Breaks:
    """Findings of the books themselves, and the list of breaks."""

    transaction: sa.Connection

    def findings_of_books(self) -> list[Finding]:
        """Return the breaks that the books show by themselves: overdrawn investors."""
        return [
            Finding(
                cause="investor_overdrawn",
                subject_kind="investor",
                subject_id=row.account.removeprefix("investor_payable:"),
                currency=row.currency,
                amount=row.amount,
            )
            for row in self.transaction.execute(
                sa.text("select * from ledger.balances where starts_with(account, 'investor_payable:') and amount > 0")
            )
        ]

    def sync_breaks(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
        resolution: str = "no longer found",
    ) -> dict[str, int]:
        """Make the open breaks of these causes be exactly the findings; return how many opened, resolved and stand."""
        run = self.transaction.execute
        wanted = {(f.cause, f.subject_kind, f.subject_id): f for f in findings}
        present = {
            (row.cause, row.subject_kind, row.subject_id): row
            for row in run(
                sa.text("select * from ledger.breaks where state in ('open', 'assigned') and cause = any(:causes)"),
                {"causes": list(causes)},
            )
        }
        opened = [finding for key, finding in sorted(wanted.items()) if key not in present]
        for finding in opened:
            break_id = run(
                sa.text(
                    "insert into ledger.breaks (cause, side, opened_on, currency, amount, subject_kind, subject_id,"
                    " evidence) values (:cause, :side, :on, :currency, :amount, :kind, :id, cast(:evidence as jsonb))"
                    " returning break_id"
                ),
                {
                    "cause": finding.cause,
                    "side": finding.side,
                    "on": on,
                    "currency": finding.currency,
                    "amount": finding.amount,
                    "kind": finding.subject_kind,
                    "id": finding.subject_id,
                    "evidence": json.dumps(dict(finding.evidence), default=str, ensure_ascii=False),
                },
            ).scalar_one()
            self._tell(break_id, "opened", now=now)
        gone = [row for key, row in present.items() if key not in wanted]
        for row in gone:
            run(
                sa.text(
                    "update ledger.breaks set state = 'resolved', resolved_on = :on, resolution = :how"
                    " where break_id = :id"
                ),
                {"id": row.break_id, "on": max(on, row.opened_on), "how": resolution},
            )
            self._tell(row.break_id, f"resolved: {resolution}", now=now)
        for key, row in present.items():
            if key in wanted:
                age = max(0, len(calendar.calendar.days_between(row.opened_on, on)) - 1) if on > row.opened_on else 0
                run(
                    sa.text("update ledger.breaks set age_business_days = :age, amount = :amount where break_id = :id"),
                    {"id": row.break_id, "age": max(age, row.age_business_days), "amount": wanted[key].amount},
                )
        return {"opened": len(opened), "resolved": len(gone), "open": len(wanted)}

    def open_breaks(self) -> list[dict[str, Any]]:
        """Return the open breaks, oldest first."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.breaks where state in ('open', 'assigned') order by opened_on, break_id")
        ).mappings()
        return [dict(row) for row in rows]

    def _tell(self, break_id: int, what: str, *, now: datetime) -> None:
        self.transaction.execute(
            sa.text(
                "insert into ledger.break_history (break_id, at, by, what) values (:id, :now, 'settlement', :what)"
            ),
            {"id": break_id, "now": now, "what": what},
        )
