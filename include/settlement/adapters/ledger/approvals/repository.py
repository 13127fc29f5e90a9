"""What a second person decided about payouts, and what was said against paying."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository
from settlement.domain.payments.gate import Objection
from settlement.ports.days import DayRun

PAYABLE = "investor_payable:"

SUBJECTS_OF_ENTRY = ("repayment_id", "payout_id", "line_id")
"""What an entry may be about."""

NUMBERS_OF_PAYOUT = {"chunk": "int32", "attempt": "int32", "amount": "int64"}
"""The columns of a payout that are not text, as the ledger keeps them."""


class Approvals(Repository):
    """What a second person decided about payouts, and what was said against paying."""

    def request(self, day: DayRun, request: Mapping[str, Any], *, now: datetime) -> None:
        """Put a question to a second person on record; an older one of the day that is open is superseded.

        Asked again before it is answered, it is open for its whole time again.
        """
        run = self.transaction.execute
        run(
            sa.text(
                "update ledger.approvals set decision = 'superseded', decided_at = :now"
                " where settlement_date = :on and decision is null and approval_id <> :id"
            ),
            {"on": day.settlement_date, "id": request["approval_id"], "now": now},
        )
        run(
            sa.text(
                "insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count,"
                " amounts,"
                " requested_at, expires_at) values (:id, :on, :revision, :sha, :count, cast(:amounts as jsonb), :now,"
                " :expires)"
                " on conflict (approval_id) do update set decision = null, decided_at = null,"
                "  requested_at = excluded.requested_at, expires_at = excluded.expires_at"
                " where ledger.approvals.decision is null or ledger.approvals.decision = 'superseded'"
            ),
            {
                "id": request["approval_id"],
                "on": day.settlement_date,
                "revision": day.revision,
                "sha": request["payouts_sha256"],
                "count": request["count"],
                "amounts": json.dumps(request["amounts"]),
                "now": now,
                "expires": request["expires_at"],
            },
        )

    def find(self, approval_id: str) -> Mapping[str, Any] | None:
        """Return one question and what was answered."""
        row = self.transaction.execute(
            sa.text("select * from ledger.approvals where approval_id = :id"), {"id": approval_id}
        ).first()
        return row._asdict() if row else None

    def decide(self, approval_id: str, *, decision: str, by: str, reason: str | None, now: datetime) -> None:
        """Keep who answered what, and when."""
        self.transaction.execute(
            sa.text(
                "update ledger.approvals set decision = :decision, decided_by = :by, reason = :reason, decided_at ="
                " :now"
                " where approval_id = :id and decision is null"
            ),
            {"id": approval_id, "decision": decision, "by": by, "reason": reason, "now": now},
        )

    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None:
        """Keep what speaks against paying, so that a person can answer for exactly that."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.objections (settlement_date, control, said, raised_at, run_id)"
                " values (:on, :control, :said, :now, :run) on conflict do nothing"
            ),
            [
                {
                    "on": day.settlement_date,
                    "control": found.control,
                    "said": found.said,
                    "now": now,
                    "run": day.run_id,
                }
                for found in objections
            ],
        )

    def objections(self, settlement_date: date) -> list[dict[str, Any]]:
        """Return every objection that was raised against paying for a day, and who answered for it."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.objections where settlement_date = :on order by raised_at, control, said"),
            {"on": settlement_date},
        ).mappings()
        return [dict(row) for row in rows]

    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int:
        """Keep that a person answers for these objections; return how many nobody had answered for."""
        return self.transaction.execute(
            sa.text(
                "update ledger.objections set overridden_by = :by, reason = :reason, overridden_at = :now"
                " where settlement_date = :on and said = any(:said) and overridden_by is null"
            ),
            {"on": settlement_date, "said": list(said), "by": by, "reason": reason, "now": now},
        ).rowcount
