"""The part of the books that knows payouts: what is owed, what is prepared, and every step that a payout takes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.domain.payouts import Hold, Payable, Payout
from settlement.ports import DayRun

PAYABLE = "investor_payable:"


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
        """Post many entries of one event with two statements, whatever their number."""
        if not entries:
            return
        run = self.transaction.execute
        run(sa.text("select ledger.ensure_partition('ledger.postings', :on, 0)"), {"on": settlement_date})
        first = run(
            sa.text(
                "select min(id) from (select nextval('ledger.entries_entry_id_seq') as id from generate_series(1, :n)) ids"
            ),
            {"n": len(entries)},
        ).scalar_one()
        run(
            sa.text(
                "insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency, repayment_id,"
                " payout_id, line_id) select e.id, :on, coalesce((select revision from ledger.days where settlement_date = :on), 0),"
                " :now, :event, e.currency, e.repayment_id, e.payout_id, e.line_id"
                " from unnest(cast(:ids as bigint[]), cast(:currencies as text[]), cast(:repayments as text[]),"
                "   cast(:payouts as text[]), cast(:lines as text[])) as e (id, currency, repayment_id, payout_id, line_id)"
            ),
            {
                "on": settlement_date,
                "now": now,
                "event": event,
                "ids": [first + place for place in range(len(entries))],
                "currencies": [entry["currency"] for entry in entries],
                "repayments": [entry.get("repayment_id") for entry in entries],
                "payouts": [entry.get("payout_id") for entry in entries],
                "lines": [entry.get("line_id") for entry in entries],
            },
        )
        legs = [
            (first + place, account, entry["currency"], amount)
            for place, entry in enumerate(entries)
            for account, amount in entry["legs"]
            if amount
        ]
        run(
            sa.text(
                "insert into ledger.postings (settlement_date, part, entry_id, account, currency, amount)"
                " select :on, 0, p.* from unnest(cast(:ids as bigint[]), cast(:accounts as text[]), cast(:currencies as text[]),"
                " cast(:amounts as bigint[])) as p"
            ),
            {
                "on": settlement_date,
                "ids": [leg[0] for leg in legs],
                "accounts": [leg[1] for leg in legs],
                "currencies": [leg[2] for leg in legs],
                "amounts": [leg[3] for leg in legs],
            },
        )

    # --------------------------------------------------------------------------------------------------- balances

    def payables(self) -> list[Payable]:
        """Return what the ledger owes each investor, with the number of the attempt that a payout would be.

        The attempt is one more than that of the investor's newest payout if that one is proven not to have been paid.
        """
        rows = self.transaction.execute(
            sa.text(
                "select substr(b.account, length(:prefix) + 1) as investor_id, b.currency, -b.amount as amount,"
                " coalesce(case when last.state in ('rejected', 'returned') then last.attempt + 1 end, 1) as attempt"
                " from ledger.balances b left join lateral ("
                "   select state, attempt from ledger.payouts p where p.investor_id = substr(b.account, length(:prefix) + 1)"
                "   and p.currency = b.currency order by p.prepared_at desc, p.settlement_date desc, p.chunk desc, p.attempt desc"
                "   limit 1) last on true"
                " where b.account like :prefix || '%' and b.amount < 0"
            ),
            {"prefix": PAYABLE},
        )
        return [Payable(**row._mapping) for row in rows]

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

    def next_chunks(self, day: DayRun) -> dict[tuple[str, str], int]:
        """Return the highest chunk that the day's revision has already, by (investor, currency)."""
        rows = self.transaction.execute(
            sa.text(
                "select investor_id, currency, max(chunk) from ledger.payouts"
                " where settlement_date = :on and revision = :revision group by 1, 2"
            ),
            {"on": day.settlement_date, "revision": day.revision},
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def prepare(self, day: DayRun, payouts: Sequence[Payout], holds: Sequence[Hold], *, now: datetime) -> None:
        """Write the payouts with their entries, and the holds as they stand now."""
        run = self.transaction.execute
        run(sa.text("delete from ledger.holds h where not exists (select from unnest(cast(:i as text[]), cast(:c as text[]))"
                    " as k (i, c) where k.i = h.investor_id and k.c = h.currency)"),
            {"i": [hold.investor_id for hold in holds], "c": [hold.currency for hold in holds]})  # fmt: skip
        if holds:
            run(
                sa.text(
                    "insert into ledger.holds as h (investor_id, currency, amount, reason, since)"
                    " values (:investor_id, :currency, :amount, :reason, :since) on conflict (investor_id, currency) do update"
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
        run(
            sa.text(
                "insert into ledger.payouts (payout_id, settlement_date, revision, investor_id, currency, chunk, attempt,"
                " amount, end_to_end_id, payee_name, payee_account, payee_bank, prepared_at, run_id) values (:payout_id, :on,"
                " :revision, :investor_id, :currency, :chunk, :attempt, :amount, :end_to_end_id, :payee_name,"
                " :payee_account, :payee_bank, :now, :run_id)"
            ),
            [
                {
                    "payout_id": payout.payout_id,
                    "on": day.settlement_date,
                    "revision": day.revision,
                    "investor_id": payout.investor_id,
                    "currency": payout.currency,
                    "chunk": payout.chunk,
                    "attempt": payout.attempt,
                    "amount": payout.amount,
                    "end_to_end_id": payout.end_to_end_id,
                    "payee_name": payout.payee_name,
                    "payee_account": payout.payee_account,
                    "payee_bank": payout.payee_bank,
                    "now": now,
                    "run_id": day.run_id,
                }
                for payout in payouts
            ],
        )
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
        ).mappings()
        return [dict(row) for row in rows]

    def payouts_by_end_to_end(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the payouts with these end-to-end ids, by that id."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where end_to_end_id = any(:ids)"), {"ids": list(ids)}
        ).mappings()
        return {row["end_to_end_id"]: dict(row) for row in rows}

    def payouts_in_file(self, file_id: str) -> list[dict[str, Any]]:
        """Return the payouts of one file, in the order in which they stand in it."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.payouts where file_id = :id order by end_to_end_id"), {"id": file_id}
        ).mappings()
        return [dict(row) for row in rows]

    def step(
        self,
        payout_ids: Sequence[str],
        to_state: str,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the payouts one step further, each with a row of its history; the database knows which steps exist."""
        if not payout_ids:
            return
        self.transaction.execute(
            sa.text(
                "insert into ledger.payout_history (payout_id, from_state, to_state, at, cause, evidence)"
                " select payout_id, state, :to_state, :now, :cause, cast(:evidence as jsonb) from ledger.payouts"
                " where payout_id = any(:ids) order by payout_id"
            ),
            {
                "ids": list(payout_ids),
                "to_state": to_state,
                "now": now,
                "cause": cause,
                "evidence": json.dumps(evidence or {}, ensure_ascii=False, default=str),
            },
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

    def refuse_account(self, payout: Mapping[str, Any], reason: str, *, now: datetime) -> None:
        """Remember that the bank refused the payee's account for good."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.refused_accounts (investor_id, payee_account, payee_bank, reason, refused_at, payout_id)"
                " values (:investor_id, :account, :bank, :reason, :now, :payout_id) on conflict do nothing"
            ),
            {
                "investor_id": payout["investor_id"],
                "account": payout["payee_account"],
                "bank": payout["payee_bank"] or "",
                "reason": reason,
                "now": now,
                "payout_id": payout["payout_id"],
            },
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
            sa.text("select * from reporting.payouts where settlement_date = :on and investor_id = :investor order by payout_id"),
            {"on": on, "investor": investor_id},
        ).mappings()
        return [dict(row) for row in rows]

    def journal_of(self, investor_id: str, on: date) -> list[dict[str, Any]]:
        """Return the postings of the day on the investor's account, in the order in which they were recorded."""
        rows = self.transaction.execute(
            sa.text(
                "select e.entry_id, e.event, e.repayment_id, e.payout_id, p.currency, p.amount from ledger.entries e"
                " join ledger.postings p using (entry_id) where e.settlement_date = :on and p.account = :account order by 1"
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
                "insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content, sha256,"
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

    def mark_file(self, file_id: str, state: str, *, now: datetime) -> None:
        """Say where a file stands; the first sending keeps its instant."""
        self.transaction.execute(
            sa.text(
                "update ledger.payout_files set state = :state,"
                " sent_at = case when :state = 'submitted' then coalesce(sent_at, :now) else sent_at end where file_id = :id"
            ),
            {"id": file_id, "state": state, "now": now},
        )

    # -------------------------------------------------------------------------------------------------- approvals

    def request_approval(self, day: DayRun, request: Mapping[str, Any], *, now: datetime) -> None:
        """Put a question to a second person on record, once; an older one of the day that is open is superseded."""
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
                "insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count, amounts,"
                " requested_at, expires_at) values (:id, :on, :revision, :sha, :count, cast(:amounts as jsonb), :now, :expires)"
                " on conflict (approval_id) do nothing"
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
        return (
            self.transaction.execute(
                sa.text("select * from ledger.approvals where approval_id = :id"), {"id": approval_id}
            )
            .mappings()
            .first()
        )

    def decide_approval(self, approval_id: str, *, decision: str, by: str, reason: str | None, now: datetime) -> None:
        """Keep who answered what, and when."""
        self.transaction.execute(
            sa.text(
                "update ledger.approvals set decision = :decision, decided_by = :by, reason = :reason, decided_at = :now"
                " where approval_id = :id and decision is null"
            ),
            {"id": approval_id, "decision": decision, "by": by, "reason": reason, "now": now},
        )
