"""What is owed, what is prepared, and every step that a payout takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.adapters.ledger.journal.repository import Journal
from settlement.adapters.ledger.repository import Repository, dicts
from settlement.domain.payments.gate import Contradiction
from settlement.domain.payments.payouts import Hold, Payable, Payout, Place
from settlement.ports.days import DayRun

PAYABLE = "investor_payable:"

SUBJECTS_OF_ENTRY = ("repayment_id", "payout_id", "line_id")
"""What an entry may be about."""

NUMBERS_OF_PAYOUT = {"chunk": "int32", "attempt": "int32", "amount": "int64"}
"""The columns of a payout that are not text, as the ledger keeps them."""


class Payouts(Repository):
    """What is owed, what is prepared, and every step that a payout takes."""

    def __init__(self, transaction: sa.Connection, journal: Journal) -> None:
        super().__init__(transaction)
        self._journal = journal

    def payables(self) -> list[Payable]:
        """Return what the ledger owes each investor, with the number of the attempt that a payout would be.

        The attempt grows if some payout of the investor's newest preparation is proven not to have been paid.
        """
        rows = self.transaction.execute(
            sa.text(
                "select o.investor_id, o.currency, o.amount, coalesce(bounced.attempt, 0) + 1 as attempt from ("
                " select substr(account, length(:prefix) + 1) as investor_id, currency, -amount as amount"
                "  from ledger.balances where starts_with(account, :prefix) and amount < 0) o"
                " left join lateral ("
                "  select max(p.attempt) filter (where p.state in ('rejected', 'returned')) as attempt from"
                " ledger.payouts p"
                "  where p.investor_id = o.investor_id and p.currency = o.currency"
                "  and (p.prepared_at, p.settlement_date) = ("
                "   select n.prepared_at, n.settlement_date from ledger.payouts n"
                "   where n.investor_id = o.investor_id and n.currency = o.currency"
                "   order by n.prepared_at desc, n.settlement_date desc limit 1)) bounced on true"
            ),
            {"prefix": PAYABLE},
        )
        return [Payable(**row._mapping) for row in rows]

    def under_way(self) -> dict[str, int]:
        """Return what may still leave the bank account for payouts, by currency: what no statement has shown yet.

        Counted from the payouts, because in the account `payouts_in_transit` a return that is still to be credited
        would hide a payout that is still to be debited.
        """
        rows = self.transaction.execute(
            sa.text(
                "select currency, sum(amount)::bigint from ("
                " select currency, amount from ledger.payouts where state not in ('booked', 'rejected', 'returned')"
                " union all select currency, amount from ledger.payouts where state = 'returned' and booked_on is"
                " null) under_way"
                " group by currency"
            )
        )
        return {row[0]: row[1] for row in rows}

    def refused_accounts(self) -> set[tuple[str, str, str]]:
        """Return (investor, account, bank) that a bank refused for good."""
        rows = self.transaction.execute(
            sa.text("select investor_id, payee_account, payee_bank from ledger.refused_accounts")
        )
        return {(row[0], row[1], row[2]) for row in rows}

    def slots(self, day: DayRun) -> dict[tuple[str, str], list[Place]]:
        """Return the chunks that the day's revision has, by (investor, currency), with their newest attempts."""
        found: dict[tuple[str, str], list[Place]] = {}
        for row in self.transaction.execute(
            sa.text(
                "select investor_id, currency, chunk, max(attempt) as attempt,"
                " bool_and(state in ('rejected', 'returned')) as is_free from ledger.payouts"
                " where settlement_date = :on and revision = :revision group by 1, 2, 3"
            ),
            {"on": day.settlement_date, "revision": day.revision},
        ):
            place = Place(chunk=row.chunk, attempt=row.attempt, is_free=row.is_free)
            found.setdefault((row.investor_id, row.currency), []).append(place)
        return found

    def stranded(self, *, before: date, prepared_before: datetime) -> list[dict[str, Any]]:
        """Return the payouts of earlier days that nobody is going to send: never handed to the bank, and their day
        failed or left them waiting since before `prepared_before`."""
        rows = self.transaction.execute(
            sa.text(
                "select p.* from ledger.payouts p join ledger.days d using (settlement_date)"
                " where p.state in ('prepared', 'approved') and p.settlement_date < :before"
                " and (d.state = 'failed' or p.prepared_at <= :prepared_before) order by p.settlement_date, p.payout_id"
            ),
            {"before": before, "prepared_before": prepared_before},
        ).mappings()
        return [dict(row) for row in rows]

    def usual_totals(self, on: Sequence[date]) -> dict[str, list[int]]:
        """Return what was paid on these settlement dates, by currency, newest first; a date without payouts is none."""
        found: dict[str, list[int]] = {}
        for row in self.transaction.execute(
            sa.text(
                "select currency, sum(amount)::bigint as amount from ledger.payouts where settlement_date = any(:on)"
                " and state not in ('rejected', 'returned') group by currency, settlement_date"
                " order by currency, settlement_date desc"
            ),
            {"on": list(on)},
        ):
            found.setdefault(row.currency, []).append(row.amount)
        return found

    def contradictions(self, investor_ids: Sequence[str]) -> list[Contradiction]:
        """Return these investors' payouts that the bank rejected although a line in suspense shows them as paid."""
        rows = self.transaction.execute(
            sa.text(
                "select p.payout_id, l.line_id, p.currency, p.amount from ledger.payouts p"
                " join ledger.statement_lines l on l.end_to_end_id = p.end_to_end_id and l.state <> 'matched' and"
                " l.amount < 0"
                " where p.state = 'rejected' and p.investor_id = any(:ids) order by 1, 2"
            ),
            {"ids": list(investor_ids)},
        )
        return [Contradiction(**row._mapping) for row in rows]

    def prepare(self, day: DayRun, payouts: Sequence[Payout], holds: Sequence[Hold], *, now: datetime) -> None:
        """Write the payouts with their entries, and the holds as they stand now."""
        run = self.transaction.execute
        run(
            sa.text(
                "delete from ledger.holds h where not exists ("
                " select from unnest(cast(:ids as text[]), cast(:currencies as text[])) as k (i, c)"
                " where k.i = h.investor_id and k.c = h.currency)"
            ),
            {"ids": [hold.investor_id for hold in holds], "currencies": [hold.currency for hold in holds]},
        )
        if holds:
            run(
                sa.text(
                    "insert into ledger.holds as h (investor_id, currency, amount, reason, since)"
                    " values (:investor_id, :currency, :amount, :reason, :since) on conflict (investor_id, currency)"
                    " do update"
                    " set amount = excluded.amount, reason = excluded.reason,"
                    " since = case when h.reason = excluded.reason then h.since else excluded.since end"
                ),
                [
                    {
                        "investor_id": hold.investor_id,
                        "currency": hold.currency,
                        "amount": hold.amount,
                        "reason": hold.reason,
                        "since": day.settlement_date,
                    }
                    for hold in holds
                ],
            )
        if not payouts:
            return
        kinds = {field.name: NUMBERS_OF_PAYOUT.get(field.name, "str") for field in fields(Payout)}
        of_day = {"settlement_date": day.settlement_date, "revision": day.revision, "run_id": day.run_id}
        rows = map(attrgetter(*kinds), payouts)
        copying.records_into(self.transaction, "ledger.payouts", kinds, rows, {**of_day, "prepared_at": now})
        self._journal.post_all(
            "payout_prepared",
            [
                {
                    "legs": [(PAYABLE + payout.investor_id, payout.amount), ("payouts_in_transit", -payout.amount)],
                    "currency": payout.currency,
                    "payout_id": payout.payout_id,
                }
                for payout in payouts
            ],
            settlement_date=day.settlement_date,
            now=now,
        )

    def holds(self) -> list[dict[str, Any]]:
        """Return what is owed and not paid now, and why."""
        rows = self.transaction.execute(sa.text("select * from ledger.holds order by investor_id, currency")).mappings()
        return [dict(row) for row in rows]

    def find(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return payouts, by date and states where given, in the order of their ids."""
        rows = self.transaction.execute(
            sa.text(
                "select * from ledger.payouts where (cast(:on as date) is null or settlement_date = :on)"
                " and (cast(:states as text[]) = '{}' or state = any(:states)) order by settlement_date, payout_id"
            ),
            {"on": settlement_date, "states": list(states)},
        )
        return dicts(rows)

    def unknown_dates(self) -> set[date]:
        """Return the settlement dates with payouts of which nobody knows whether the bank has them."""
        return set(
            self.transaction.execute(
                sa.text("select distinct settlement_date from ledger.payouts where state = 'unknown'")
            ).scalars()
        )

    def by_end_to_end(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the payouts with these end-to-end ids, by that id."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where end_to_end_id = any(:ids)"), {"ids": list(ids)}
        )
        return {row["end_to_end_id"]: row for row in dicts(rows)}

    def in_file(self, file_id: str) -> list[dict[str, Any]]:
        """Return the payouts of one file, in the order in which they stand in it."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where file_id = :id order by end_to_end_id"), {"id": file_id}
        )
        return dicts(rows)

    def step(
        self,
        payout_ids: Sequence[str],
        to_state: str,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Take the payouts one step further, each with a row of its history; the database knows which steps exist.

        `evidence` is one for all, or one for each payout in their order.
        """
        if not payout_ids:
            return
        each = [evidence] * len(payout_ids) if isinstance(evidence, Mapping) else evidence
        self.transaction.execute(
            sa.text(
                "insert into ledger.payout_history (payout_id, from_state, to_state, at, cause, evidence)"
                " select p.payout_id, p.state, :to_state, :now, :cause, cast(k.evidence as jsonb)"
                " from unnest(cast(:ids as text[]), cast(:evidence as text[])) with ordinality as k (id, evidence,"
                " place)"
                " join ledger.payouts p on p.payout_id = k.id order by k.place"
            ),
            {
                "ids": list(payout_ids),
                "to_state": to_state,
                "now": now,
                "cause": cause,
                "evidence": [json.dumps(dict(said), ensure_ascii=False, default=str) for said in each],
            },
        )

    def note_booking(self, booked: Mapping[str, date]) -> None:
        """Keep the day on which payouts were booked that had come back before the statement showed them leave."""
        self.transaction.execute(
            sa.text(
                "update ledger.payouts p set booked_on = k.booked_on from unnest(cast(:ids as text[]), cast(:days as"
                " date[]))"
                " as k (id, booked_on) where p.payout_id = k.id and p.booked_on is null"
            ),
            {"ids": list(booked), "days": list(booked.values())},
        )

    def credit_back(
        self, payouts: Sequence[Mapping[str, Any]], *, event: str, settlement_date: date, now: datetime
    ) -> None:
        """Give the payouts' money back to the investors' balances (`payout_rejected` or `payout_returned`)."""
        self._journal.post_all(
            event,
            [
                {
                    "legs": [
                        ("payouts_in_transit", payout["amount"]),
                        (PAYABLE + payout["investor_id"], -payout["amount"]),
                    ],
                    "currency": payout["currency"],
                    "payout_id": payout["payout_id"],
                }
                for payout in payouts
            ],
            settlement_date=settlement_date,
            now=now,
        )

    def refuse_accounts(self, refused: Sequence[tuple[Mapping[str, Any], str]], *, now: datetime) -> None:
        """Remember of each (payout, reason) that the bank refused the payee's account for good."""
        if not refused:
            return
        self.transaction.execute(
            sa.text(
                "insert into ledger.refused_accounts (investor_id, payee_account, payee_bank, reason, refused_at,"
                " payout_id)"
                " values (:investor_id, :account, :bank, :reason, :now, :payout_id) on conflict do nothing"
            ),
            [
                {
                    "investor_id": payout["investor_id"],
                    "account": payout["payee_account"],
                    "bank": payout["payee_bank"] or "",
                    "reason": reason,
                    "now": now,
                    "payout_id": payout["payout_id"],
                }
                for payout, reason in refused
            ],
        )

    def shares_of(self, investor_id: str, on: date) -> list[dict[str, Any]]:
        """Return the investor's shares of the day's newest revision, in the order of the run."""
        rows = self.transaction.execute(
            sa.text(
                "select s.* from ledger.shares s join ledger.days d using (settlement_date, revision)"
                " where s.settlement_date = :on and s.investor_id = :investor order by s.position, s.note_id"
            ),
            {"on": on, "investor": investor_id},
        ).mappings()
        return [dict(row) for row in rows]

    def of_investor(self, investor_id: str, on: date) -> list[dict[str, Any]]:
        """Return the investor's payouts of the day, without personal data."""
        rows = self.transaction.execute(
            sa.text(
                "select * from reporting.payouts where settlement_date = :on and investor_id = :investor order by"
                " payout_id"
            ),
            {"on": on, "investor": investor_id},
        ).mappings()
        return [dict(row) for row in rows]

    def journal_of(self, investor_id: str, on: date) -> list[dict[str, Any]]:
        """Return the postings of the day on the investor's account, in the order in which they were recorded."""
        rows = self.transaction.execute(
            sa.text(
                "select e.entry_id, e.event, e.repayment_id, e.payout_id, p.currency, p.amount from ledger.entries e"
                " join ledger.postings p using (entry_id) where e.settlement_date = :on and p.account = :account order"
                " by 1"
            ),
            {"on": on, "account": PAYABLE + investor_id},
        ).mappings()
        return [dict(row) for row in rows]

    def has_paid(self, run_id: str) -> bool:
        """Tell whether a run has made payouts since it opened its day. A run that is cleared opens it anew."""
        return bool(
            self.transaction.execute(
                sa.text(
                    "select exists (select from ledger.runs r join ledger.payouts p using (run_id, settlement_date)"
                    " where run_id = :run and (p.state = 'prepared' or exists (select from ledger.payout_history h"
                    "   where h.payout_id = p.payout_id and h.from_state = 'prepared' and h.step > r.step_before)))"
                ),
                {"run": run_id},
            ).scalar()
        )
