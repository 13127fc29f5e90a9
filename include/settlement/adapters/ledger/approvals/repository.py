"""What a second person decided about payouts, and what was said against paying."""

import json
from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.payments.approval import Decision
from settlement.domain.payments.gate import Objection
from settlement.ports.approvals import AnsweredObjection, Question
from settlement.ports.days import DayRun

HERE = __package__


class Approvals(Repository):
    """Questions to a second person, and objections: see `ports.approvals`."""

    def request(self, day: DayRun, question: Question, *, now: datetime) -> None:
        """Put a question to a second person on record; an older one of the day that is open is superseded."""
        named = {"id": question.approval_id, "on": day.settlement_date, "now": now}
        self.transaction.execute(sql(HERE, "supersede"), named)
        asked = {
            "revision": day.revision,
            "sha": question.payouts_sha256,
            "count": question.count,
            "amounts": json.dumps(dict(question.amounts)),
            "expires": question.expires_at,
        }
        self.transaction.execute(sql(HERE, "request"), named | asked)

    def find(self, approval_id: str) -> Question | None:
        """Return one question and what was answered."""
        row = self.transaction.execute(
            sa.text("select * from ledger.approvals where approval_id = :id"), {"id": approval_id}
        ).first()
        if row is None:
            return None
        return Question(
            approval_id=row.approval_id,
            payouts_sha256=row.payouts_sha256,
            count=row.payout_count,
            amounts=row.amounts,
            expires_at=row.expires_at,
            decision=Decision(row.decision) if row.decision else None,
            decided_by=row.decided_by,
        )

    def decide(self, approval_id: str, *, decision: Decision, by: str, reason: str | None, now: datetime) -> None:
        """Keep who answered what, and when."""
        named = {"id": approval_id, "decision": decision, "by": by, "reason": reason, "now": now}
        self.transaction.execute(sql(HERE, "decide"), named)

    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None:
        """Keep what speaks against paying, so that a person can answer for exactly that."""
        said = {"controls": [found.control for found in objections], "said": [found.said for found in objections]}
        self.transaction.execute(sql(HERE, "object"), said | {"on": day.settlement_date, "run": day.run_id, "now": now})

    def objections(self, settlement_date: date) -> list[AnsweredObjection]:
        """Return every objection that was raised against paying for a day, and who answered for it."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.objections where settlement_date = :on order by raised_at, control, said"),
            {"on": settlement_date},
        )
        return [AnsweredObjection(**row._mapping) for row in rows]

    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int:
        """Keep that a person answers for these objections; return how many nobody had answered for."""
        named = {"on": settlement_date, "said": list(said), "by": by, "reason": reason, "now": now}
        return self.transaction.execute(sql(HERE, "override"), named).rowcount
