"""The part of the books that keeps breaks: opened once, aged in business days, resolved when they are gone."""

import json
from collections.abc import Sequence, Set
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.bank.messages import MessageState
from settlement.domain.books.accounts import PayeeKind
from settlement.domain.breaks import BreakState, Decision, Finding, Way, why_gone
from settlement.domain.days import SettlementCalendar
from settlement.ports.breaks import Break, BreakEvent


class Breaks(Repository):
    """Findings of the books themselves, and the list of breaks."""

    def found(self) -> list[Finding]:
        """Return the breaks that the books show by themselves: overdrawn payees, payouts that came back late."""
        late = self.transaction.execute(sql(__package__, "late_returns"))
        return [
            Finding(
                cause=f"{kind}_overdrawn",
                subject_kind=kind.payable.of or "",
                subject_id=kind.payable.subject_of(row.account),
                currency=row.currency,
                amount=row.amount,
            )
            for kind in PayeeKind
            for row in self.transaction.execute(
                sa.text("select * from ledger.balances where starts_with(account, :prefix) and amount > 0"),
                {"prefix": kind.payable.prefix},
            )
        ] + [
            Finding(
                cause="late_return",
                subject_kind="payout",
                subject_id=row.payout_id,
                currency=row.currency,
                amount=row.amount,
                evidence={"reason": row.bank_reason, "returned_at": row.at},
            )
            for row in late
        ]

    def sync(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
        sees: Set[tuple[str, str]] | None = None,
    ) -> dict[str, int]:
        """Make the open breaks of these causes be exactly the findings; return how many opened, resolved and stand."""
        run = self.transaction.execute
        answered = self.answered()
        wanted = {
            (f.cause, f.subject_kind, f.subject_id): f
            for f in findings
            if (f.cause, f.subject_kind, f.subject_id, f.amount) not in answered
        }
        present = {
            (row.cause, row.subject_kind, row.subject_id): row
            for row in run(
                sa.text("select * from ledger.breaks where state in ('open', 'assigned') and cause = any(:causes)"),
                {"causes": list(causes)},
            )
        }
        opened = [finding for key, finding in sorted(wanted.items()) if key not in present]
        gone = [row for key, row in present.items() if key not in wanted and (sees is None or key[1:] in sees)]
        for finding in opened:
            self._open(finding, on=on, now=now)
        for row in gone:
            self._resolve(row, on=on, calendar=calendar, now=now)
        for key in present.keys() & wanted.keys():
            row = present[key]
            run(
                sa.text("update ledger.breaks set age_business_days = :age, amount = :amount where break_id = :id"),
                {"id": row.break_id, "age": _age(row, on=on, calendar=calendar), "amount": wanted[key].amount},
            )
        return {"opened": len(opened), "resolved": len(gone), "open": len(wanted)}

    def _open(self, finding: Finding, *, on: date, now: datetime) -> None:
        break_id = self.transaction.execute(
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

    def _resolve(self, row: sa.Row[Any], *, on: date, calendar: SettlementCalendar, now: datetime) -> None:
        how = self._why_gone(row)
        self.transaction.execute(
            sa.text(
                "update ledger.breaks set state = 'resolved', resolved_on = :on, resolution = :how,"
                " age_business_days = :age where break_id = :id"
            ),
            {
                "id": row.break_id,
                "on": max(on, row.opened_on),
                "how": how,
                "age": _age(row, on=on, calendar=calendar),
            },
        )
        self._tell(row.break_id, f"resolved: {how}", now=now)

    def _why_gone(self, row: sa.Row[Any]) -> str:
        """Return why a break is found no longer: the match that explains it, where there is one."""
        if row.subject_kind in ("line", "repayment", "payout"):
            found = self.transaction.execute(
                sa.text(
                    "select line_id, subject_kind, subject_id, rule, explanation from ledger.matches"
                    " where case when :kind = 'line' then line_id = :id else subject_id = :id end"
                    " order by matched_at desc, line_id, subject_id limit 1"
                ),
                {"id": row.subject_id, "kind": row.subject_kind},
            ).first()
            if found is not None:
                other = found.line_id if row.subject_kind != "line" else f"{found.subject_kind} {found.subject_id}"
                return f"matched with [{other}] by {found.rule}: {found.explanation}"
        if row.subject_kind == "message":
            again = self.transaction.execute(
                sa.text(
                    "select m.name, a.state from ledger.bank_messages m join ledger.messages_read_again a"
                    " using (sha256) where left(m.sha256, 16) = :id order by a.number desc limit 1"
                ),
                {"id": row.subject_id},
            ).first()
            if again is not None and again.state != MessageState.REFUSED:
                return f"message [{again.name}] was read again and is {again.state}"
        return why_gone(row.cause)

    def answered(self) -> set[tuple[str, str, str, int | None]]:
        """Return what somebody answered for by name, as (cause, kind and id of the subject, amount)."""
        rows = self.transaction.execute(
            sa.text(
                "select b.cause, b.subject_kind, b.subject_id, b.amount from ledger.breaks b"
                " join ledger.break_decisions d using (break_id) where d.kind = :kind and d.decided_at is not null"
            ),
            {"kind": Way.ANSWER},
        )
        return {(row[0], row[1], row[2], row[3]) for row in rows}

    def open(self) -> list[Break]:
        """Return the open breaks, oldest first."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.breaks where state in ('open', 'assigned') order by opened_on, break_id")
        ).mappings()
        return [Break(**{**row, "state": BreakState(row["state"])}) for row in rows]

    def history(self, break_id: int) -> list[BreakEvent]:
        """Return everything that happened to a break, in order."""
        rows = self.transaction.execute(
            sa.text("select at, by, what from ledger.break_history where break_id = :id order by step"),
            {"id": break_id},
        ).mappings()
        return [BreakEvent(**row) for row in rows]

    def note(
        self,
        break_id: int,
        *,
        by: str,
        what: str,
        now: datetime,
        owner: str | None = None,
        due_on: date | None = None,
        comment: str | None = None,
    ) -> None:
        """Keep what a person said of an open break, and who takes it on until when."""
        self.transaction.execute(
            sa.text(
                "update ledger.breaks set owner = coalesce(:owner, owner), due_on = coalesce(:due, due_on),"
                " comment = coalesce(:comment, comment),"
                " state = case when coalesce(:owner, owner) is null then state else 'assigned' end where break_id = :id"
            ),
            {"id": break_id, "owner": owner, "due": due_on, "comment": comment},
        )
        self._tell(break_id, what, now=now, by=by)

    def close(self, break_id: int, *, state: BreakState, how: str, by: str, on: date, now: datetime) -> None:
        """Let a break be over because of what a person did."""
        self.transaction.execute(
            sa.text(
                "update ledger.breaks set state = :state, resolved_on = greatest(:on, opened_on), resolution = :how"
                " where break_id = :id"
            ),
            {"id": break_id, "state": state, "on": on, "how": f"{how} ({by})"},
        )
        self._tell(
            break_id, f"{'written off' if state is BreakState.WRITTEN_OFF else 'resolved'}: {how}", now=now, by=by
        )

    def ask(self, decision: Decision, *, now: datetime) -> None:
        """Keep what a person wants done; where no second person is needed it is decided with that."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.break_decisions (break_id, kind, target, amount, currency, reason, requested_by,"
                " requested_at, needs_second, decided_by, decided_at) values (:break_id, :kind, :target, :amount,"
                " :currency, :reason, :requested_by, :now, :needs_second,"
                " case when :needs_second then null else :requested_by end,"
                " case when :needs_second then null else cast(:now as timestamptz) end)"
            ),
            {**asdict(decision), "now": now},
        )

    def waiting(self, break_id: int) -> Decision | None:
        """Return what waits for a second person."""
        row = self.transaction.execute(
            sa.text(
                "select break_id, kind, target, amount, currency, reason, requested_by, needs_second"
                " from ledger.break_decisions where break_id = :id and decided_at is null and withdrawn_at is null"
            ),
            {"id": break_id},
        ).first()
        return Decision(**{**row._asdict(), "kind": Way(row.kind)}) if row else None

    def withdraw(self, break_id: int, *, now: datetime) -> None:
        """Let what waits for a second person wait no longer: its amount moved, and it has to be asked anew."""
        self.transaction.execute(
            sa.text(
                "update ledger.break_decisions set withdrawn_at = :now"
                " where break_id = :id and decided_at is null and withdrawn_at is null"
            ),
            {"id": break_id, "now": now},
        )

    def decide(self, break_id: int, *, by: str, now: datetime) -> None:
        """Keep who decided what was waiting."""
        self.transaction.execute(
            sa.text(
                "update ledger.break_decisions set decided_by = :by, decided_at = :now"
                " where break_id = :id and decided_at is null and withdrawn_at is null"
            ),
            {"id": break_id, "by": by, "now": now},
        )

    def _tell(self, break_id: int, what: str, *, now: datetime, by: str = "settlement") -> None:
        self.transaction.execute(
            sa.text("insert into ledger.break_history (break_id, at, by, what) values (:id, :now, :by, :what)"),
            {"id": break_id, "now": now, "what": what, "by": by},
        )


def _age(row: sa.Row[Any], *, on: date, calendar: SettlementCalendar) -> int:
    """Return how many business days a break has seen since it was opened; it never grows younger."""
    seen = len(calendar.calendar.days_between(row.opened_on + timedelta(days=1), on))
    return max(seen, int(row.age_business_days))
