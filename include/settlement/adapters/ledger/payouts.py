"""The part of the books that knows payouts: what is owed, what is prepared, and every step that a payout takes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.domain.gate import Contradiction, Objection
from settlement.domain.messages import Submission
from settlement.domain.payouts import Hold, Payable, Payout, Place
from settlement.ports import DayRun

PAYABLE = "investor_payable:"

SUBJECTS_OF_ENTRY = ("repayment_id", "payout_id", "line_id")
"""What an entry may be about."""

NUMBERS_OF_PAYOUT = {"chunk": "int32", "attempt": "int32", "amount": "int64"}
"""The columns of a payout that are not text, as the ledger keeps them."""


class Payouts:
    """Balances, payouts, files and approvals."""

    transaction: sa.Connection

    # ---------------------------------------------------------------------------------------------------- posting

    def post(
        self,
        event: str,
        legs: Sequence[tuple[str, int]],
        *,
        settlement_date: date,
        currency: str,
        now: datetime,
        repayment_id: str | None = None,
        payout_id: str | None = None,
        line_id: str | None = None,
    ) -> None:
        """Post one entry. `legs` are (account, amount), debits positive, and sum to zero."""
        self.post_all(
            event,
            [
                {
                    "legs": legs,
                    "currency": currency,
                    "repayment_id": repayment_id,
                    "payout_id": payout_id,
                    "line_id": line_id,
                }
            ],
            settlement_date=settlement_date,
            now=now,
        )

    def post_all(
        self, event: str, entries: Sequence[Mapping[str, Any]], *, settlement_date: date, now: datetime
    ) -> None:
        """Post many entries of one event together, whatever their number."""
        if not entries:
            return
        run = self.transaction.execute
        run(sa.text("select ledger.ensure_partition('ledger.postings', :on, 0)"), {"on": settlement_date})
        first = run(
            sa.text(
                "select min(id) from (select nextval('ledger.entries_entry_id_seq') as id from generate_series(1, :n))"
                " ids"
            ),
            {"n": len(entries)},
        ).scalar_one()
        revision = run(
            sa.text("select coalesce(max(revision), 0) from ledger.days where settlement_date = :on"),
            {"on": settlement_date},
        ).scalar_one()
        copying.records_into(
            self.transaction,
            "ledger.entries",
            {"entry_id": "int64"} | dict.fromkeys(("currency", *SUBJECTS_OF_ENTRY), "str"),
            (
                (number, entry["currency"], *map(entry.get, SUBJECTS_OF_ENTRY))
                for number, entry in enumerate(entries, start=first)
            ),
            {"settlement_date": settlement_date, "revision": revision, "recorded_at": now, "event": event},
        )
        copying.records_into(
            self.transaction,
            "ledger.postings",
            {"entry_id": "int64", "account": "str", "currency": "str", "amount": "int64"},
            (
                (number, account, entry["currency"], amount)
                for number, entry in enumerate(entries, start=first)
                for account, amount in entry["legs"]
                if amount
            ),
            {"settlement_date": settlement_date, "part": 0},
        )

    # --------------------------------------------------------------------------------------------------- balances

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

    def in_transit(self) -> dict[str, int]:
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

    def balance(self, account: str, currency: str) -> int:
        """Return the balance of one account, debit positive."""
        found = self.transaction.execute(
            sa.text("select amount from ledger.balances where account = :account and currency = :currency"),
            {"account": account, "currency": currency},
        ).scalar()
        return int(found or 0)

    def balances(self, prefix: str) -> dict[tuple[str, str], int]:
        """Return the balances other than zero of the accounts that begin so, by (account, currency)."""
        rows = self.transaction.execute(
            sa.text(
                "select account, currency, amount from ledger.balances where starts_with(account, :p) and amount <> 0"
            ),
            {"p": prefix},
        )
        return {(row.account, row.currency): row.amount for row in rows}

    def refused_accounts(self) -> set[tuple[str, str, str]]:
        """Return (investor, account, bank) that a bank refused for good."""
        rows = self.transaction.execute(
            sa.text("select investor_id, payee_account, payee_bank from ledger.refused_accounts")
        )
        return {(row[0], row[1], row[2]) for row in rows}

    # ---------------------------------------------------------------------------------------------------- payouts

    def places(self, day: DayRun) -> dict[tuple[str, str], list[Place]]:
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
        self.post_all(
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

    def payouts(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return payouts, by date and states where given, in the order of their ids."""
        rows = self.transaction.execute(
            sa.text(
                "select * from ledger.payouts where (cast(:on as date) is null or settlement_date = :on)"
                " and (cast(:states as text[]) = '{}' or state = any(:states)) order by settlement_date, payout_id"
            ),
            {"on": settlement_date, "states": list(states)},
        )
        return _dicts(rows)

    def unknown_dates(self) -> set[date]:
        """Return the settlement dates with payouts of which nobody knows whether the bank has them."""
        return set(
            self.transaction.execute(
                sa.text("select distinct settlement_date from ledger.payouts where state = 'unknown'")
            ).scalars()
        )

    def payouts_by_end_to_end(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the payouts with these end-to-end ids, by that id."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where end_to_end_id = any(:ids)"), {"ids": list(ids)}
        )
        return {row["end_to_end_id"]: row for row in _dicts(rows)}

    def payouts_in_file(self, file_id: str) -> list[dict[str, Any]]:
        """Return the payouts of one file, in the order in which they stand in it."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where file_id = :id order by end_to_end_id"), {"id": file_id}
        )
        return _dicts(rows)

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
        self.post_all(
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

    def payouts_of(self, investor_id: str, on: date) -> list[dict[str, Any]]:
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

    # ------------------------------------------------------------------------------------------------------ files

    def keep_file(
        self, day: DayRun, file_id: str, content: bytes, payouts: Sequence[Mapping[str, Any]], *, now: datetime
    ) -> None:
        """Write a payment file before the bank is called, and tie its payouts to it for good."""
        run = self.transaction.execute
        run(
            sa.text(
                "insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content,"
                " sha256,"
                " created_at) values (:file_id, :on, :currency, :count, :amount, :content, :sha, :now)"
            ),
            {
                "file_id": file_id,
                "on": day.settlement_date,
                "currency": payouts[0]["currency"],
                "count": len(payouts),
                "amount": sum(payout["amount"] for payout in payouts),
                "content": content,
                "sha": hashlib.sha256(content).hexdigest(),
                "now": now,
            },
        )
        run(
            sa.text("update ledger.payouts set file_id = :file_id where payout_id = any(:ids)"),
            {"file_id": file_id, "ids": [payout["payout_id"] for payout in payouts]},
        )

    def files(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return payment files, by date and states where given, oldest first."""
        rows = self.transaction.execute(
            sa.text(
                "select * from ledger.payout_files where (cast(:on as date) is null or settlement_date = :on)"
                " and (cast(:states as text[]) = '{}' or state = any(:states)) order by created_at, file_id"
            ),
            {"on": settlement_date, "states": list(states)},
        ).mappings()
        return [dict(row) for row in rows]

    def file(self, file_id: str) -> dict[str, Any] | None:
        """Return one payment file."""
        row = self.transaction.execute(
            sa.text("select * from ledger.payout_files where file_id = :id"), {"id": file_id}
        ).first()
        return row._asdict() if row else None

    def mark_file(self, file_id: str, state: str, *, now: datetime) -> None:
        """Say where a file stands; the first sending keeps its instant, and what is rejected stays so."""
        self.transaction.execute(
            sa.text(
                "update ledger.payout_files set state = :state,"
                " sent_at = case when :state = 'submitted' then coalesce(sent_at, :now) else sent_at end"
                " where file_id = :id and state <> 'rejected'"
            ),
            {"id": file_id, "state": state, "now": now},
        )

    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None:
        """Keep that a report rejected the whole file, or called it a duplicate; the same report counts once."""
        self.transaction.execute(
            sa.text(
                "update ledger.payout_files set"
                " duplicates = duplicates || case when :is_duplicate then cast(:heard as text[]) else '{}' end,"
                " rejections = rejections || case when :is_duplicate then '{}' else cast(:heard as text[]) end"
                " where file_id = :id and not cast(:heard as text[]) && (duplicates || rejections)"
            ),
            {"id": file_id, "heard": [message_id], "is_duplicate": is_duplicate},
        )

    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int:
        """Write that the file is handed to the bank from here on, and return which time it is."""
        return int(
            self.transaction.execute(
                sa.text(
                    "insert into ledger.transmissions (file_id, number, run_id, started_at)"
                    " select :id, coalesce(max(number), 0) + 1, :run, :now from ledger.transmissions where file_id ="
                    " :id"
                    " returning number"
                ),
                {"id": file_id, "run": run_id, "now": now},
            ).scalar_one()
        )

    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
        """Keep what came back, byte for byte, and what it proves."""
        self.transaction.execute(
            sa.text(
                "update ledger.transmissions set outcome = :outcome, answered_at = :now, status_code = :code,"
                " reason = :reason, said = :said, answer = :answer, sha256 = :sha where file_id = :id and number ="
                " :number"
            ),
            {
                "id": file_id,
                "number": number,
                "outcome": answer.outcome.value,
                "now": now,
                "code": answer.status_code,
                "reason": answer.reason,
                "said": answer.text,
                "answer": answer.answer,
                "sha": hashlib.sha256(answer.answer).hexdigest(),
            },
        )

    def transmissions(self, file_id: str) -> list[dict[str, Any]]:
        """Return every handing-over of the file, first to last, without what came back."""
        rows = self.transaction.execute(
            sa.text(
                "select number, run_id, started_at, outcome, answered_at from ledger.transmissions"
                " where file_id = :id order by number"
            ),
            {"id": file_id},
        ).mappings()
        return [dict(row) for row in rows]

    # -------------------------------------------------------------------------------------------------- approvals

    def request_approval(self, day: DayRun, request: Mapping[str, Any], *, now: datetime) -> None:
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

    def approval(self, approval_id: str) -> Mapping[str, Any] | None:
        """Return one question and what was answered."""
        row = self.transaction.execute(
            sa.text("select * from ledger.approvals where approval_id = :id"), {"id": approval_id}
        ).first()
        return row._asdict() if row else None

    def decide_approval(self, approval_id: str, *, decision: str, by: str, reason: str | None, now: datetime) -> None:
        """Keep who answered what, and when."""
        self.transaction.execute(
            sa.text(
                "update ledger.approvals set decision = :decision, decided_by = :by, reason = :reason, decided_at ="
                " :now"
                " where approval_id = :id and decision is null"
            ),
            {"id": approval_id, "decision": decision, "by": by, "reason": reason, "now": now},
        )

    # -------------------------------------------------------------------------------------------------- objections

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


def _dicts(rows: sa.CursorResult[Any]) -> list[dict[str, Any]]:
    """Return rows by the names of their columns, in a third of the time that `mappings` takes for many."""
    names = tuple(rows.keys())
    return [dict(zip(names, row, strict=True)) for row in rows]
