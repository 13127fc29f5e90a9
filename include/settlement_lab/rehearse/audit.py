"""The auditor: after every day it holds the bank's own record against the books, and believes neither alone.

It shares no code with the engine and asks nothing but SQL of the books and plain HTTP of the bank:

1. every payment that the bank has is a payout of ours, once, with its amount and its payee's account
2. what the books say of a payout is true at the bank: what is rejected was not accepted, what is booked was, what came
   back came back, and what was never sent is not there; in the end nothing that the bank said was missed
3. nobody is paid more than he earned, and what he earned is in his payouts or in his balance, to the won
4. a balance above zero after a settled day is held, with a reason, or its payouts ended since that day was opened
5. the books' bank account, with the lines that are kept and still to be booked, is the bank's statement, wherever the
   statements are an unbroken chain; in the end no line is still to be booked
6. every payout went from state to state as the rules allow, and ends where its history ends
7. every entry sums to zero, and every balance is the sum of its postings
8. in one place (day, revision, investor, currency, chunk) at most one attempt lives
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
import psycopg

STEPS = {
    "prepared": {"approved", "rejected"},
    "approved": {"submitted", "rejected"},
    "submitted": {"accepted", "rejected", "unknown", "booked", "returned"},
    "unknown": {"accepted", "rejected", "booked", "returned"},
    "accepted": {"booked", "rejected", "returned"},
    "booked": {"returned"},
    "rejected": {"booked", "returned"},
    "returned": {"booked"},
}
Row = dict[str, Any]
GIVEN_BACK = ("rejected", "returned")


@dataclass(frozen=True, slots=True)
class Auditor:
    """Reads the books at `books` (as their owner) and the bank at `bank_url`; changes nothing."""

    books: str
    bank_url: str
    account: str

    def violations(self, *, is_settled: bool, is_heard_out: bool = False) -> list[str]:
        """Return what is wrong, in sentences.

        `is_settled`: the newest day ran to its end. `is_heard_out`: the bank has no more to say, so that nothing may
        be under way that it has decided.
        """
        with psycopg.connect(self.books, autocommit=True) as connection:
            connection.execute("begin isolation level repeatable read, read only")
            payouts = rows(
                connection,
                "select payout_id, end_to_end_id, payee_id, currency, amount, state, payee_account, settlement_date,"
                " revision, chunk from ledger.payouts",
            )
            payments = httpx.get(f"{self.bank_url}/_mock/payments", timeout=60, trust_env=False).json()
            ours = [payment for payment in payments if payment["debtor_iban"] == self.account]
            found = [
                *_payments_are_payouts(ours, payouts),
                *_states_are_true(ours, payouts),
                *(_nothing_was_missed(ours, payouts) if is_heard_out else ()),
                *_earned_is_accounted_for(connection, payouts, ours),
                *(balances_are_held(connection) if is_settled else ()),
                *bank_account_is_the_statement(connection, is_heard_out=is_heard_out),
                *steps_are_legal(connection, payouts),
                *entries_balance(connection),
                *_one_attempt_lives(payouts),
            ]
            connection.execute("rollback")
        return found


def _payments_are_payouts(payments: list[dict[str, Any]], payouts: list[dict[str, Any]]) -> Iterator[str]:
    by_id = {payout["end_to_end_id"]: payout for payout in payouts}
    for end_to_end_id, times in Counter(payment["end_to_end_id"] for payment in payments).items():
        if times > 1:
            yield f"the bank has payment [{end_to_end_id}] {times} times"
    for payment in payments:
        payout = by_id.get(payment["end_to_end_id"])
        if payout is None:
            yield f"the bank has payment [{payment['end_to_end_id']}] that no payout knows"
        elif (payment["amount"], payment["creditor_iban"]) != (payout["amount"], payout["payee_account"]):
            yield f"the bank has payment [{payment['end_to_end_id']}] with another amount or account"


def _states_are_true(payments: list[dict[str, Any]], payouts: list[dict[str, Any]]) -> Iterator[str]:
    at_bank = {payment["end_to_end_id"]: payment for payment in payments}
    for payout in payouts:
        payment = at_bank.get(payout["end_to_end_id"])
        is_accepted = payment is not None and payment["status"] == "accepted"
        is_booked = payment is not None and payment["booked_at"] is not None
        has_come_back = payment is not None and payment["returned_at"] is not None
        truth = {
            "prepared": payment is None,
            "approved": payment is None,
            "submitted": True,
            "unknown": True,
            "accepted": is_accepted,
            "booked": is_booked,
            "rejected": not is_accepted,
            "returned": has_come_back,
        }
        if not truth[payout["state"]]:
            yield f"payout [{payout['payout_id']}] is [{payout['state']}], the bank has {payment}"


def _nothing_was_missed(payments: list[dict[str, Any]], payouts: list[dict[str, Any]]) -> Iterator[str]:
    at_bank = {payment["end_to_end_id"]: payment for payment in payments}
    for payout in payouts:
        payment = at_bank.get(payout["end_to_end_id"])
        if payment is not None and payment["returned_at"] is not None and payout["state"] != "returned":
            yield f"payout [{payout['payout_id']}] came back and is [{payout['state']}]"
        elif payment is not None and payment["status"] == "rejected" and payout["state"] != "rejected":
            yield f"payout [{payout['payout_id']}] was rejected and is [{payout['state']}]"
        elif payout["state"] in ("prepared", "approved", "submitted"):
            yield f"payout [{payout['payout_id']}] is still [{payout['state']}]"


def _earned_is_accounted_for(
    connection: psycopg.Connection[Any], payouts: list[dict[str, Any]], payments: list[dict[str, Any]]
) -> Iterator[str]:
    earned = {
        (row["investor_id"], row["currency"]): int(row["amount"])
        for row in rows(
            connection,
            "select s.investor_id, s.currency, sum(s.net_amount) as amount from ledger.standing_shares s group by 1, 2",
        )
    }
    owed = {
        (row["account"].split(":", 1)[1], row["currency"]): -row["amount"]
        for row in rows(connection, "select * from ledger.balances where account like 'investor@_payable:%' escape '@'")
    }
    living: Counter[tuple[str, str]] = Counter()
    paid: Counter[tuple[str, str]] = Counter()
    at_bank = {p["end_to_end_id"] for p in payments if p["status"] == "accepted" and p["returned_at"] is None}
    for payout in payouts:
        key = (payout["payee_id"], payout["currency"])
        if payout["state"] not in GIVEN_BACK:
            living[key] += payout["amount"]
        if payout["end_to_end_id"] in at_bank:
            paid[key] += payout["amount"]
    for key in sorted(set(earned) | set(owed) | set(living)):
        if earned.get(key, 0) != living[key] + owed.get(key, 0):
            yield (
                f"{key} earned [{earned.get(key, 0)}], payouts of [{living[key]}] and a balance of [{owed.get(key, 0)}]"
                " do not make that"
            )
        # Below what was earned by a receipt undone after it was paid out: then the balance is below zero by as much.
        if paid[key] > earned.get(key, 0) + max(0, -owed.get(key, 0)):
            yield f"{key} earned [{earned.get(key, 0)}] and was paid [{paid[key]}]"


def balances_are_held(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield the balances that are neither held nor about to be paid."""
    for row in rows(
        connection,
        "select b.account, b.currency, -b.amount as amount, h.amount as held from ledger.balances b"
        " left join ledger.holds h on 'investor_payable:' || h.payee_id = b.account and h.currency = b.currency"
        " where b.account like 'investor@_payable:%' escape '@' and b.amount < 0 and -b.amount > coalesce(h.amount, 0)"
        # The money of payouts that ended since the newest day was opened is offered by the next run.
        " and -b.amount - coalesce(h.amount, 0) > coalesce((select sum(p.amount)"
        "   from ledger.payouts p join ledger.payout_history s on s.payout_id = p.payout_id and s.to_state = p.state"
        "   where 'investor_payable:' || p.payee_id = b.account and p.currency = b.currency"
        "   and p.state in ('rejected', 'returned') and s.at >= (select max(opened_at) from ledger.days)), 0)",
    ):
        yield f"[{row['account']}] is owed [{row['amount']}], and [{row['held']}] of it is held: nobody pays the rest"


def bank_account_is_the_statement(connection: psycopg.Connection[Any], *, is_heard_out: bool) -> Iterator[str]:
    """Yield where the bank account of the books is not what the statements say."""
    statements = rows(connection, "select opening, closing from ledger.statements order by business_date, sequence")
    if not statements:
        return
    unexplained = sum(after["opening"] - before["closing"] for before, after in pairwise(statements))
    (row,) = rows(
        connection, "select coalesce(sum(amount), 0) as amount from ledger.balances where account = 'client_bank'"
    )
    # A statement is kept before its lines are booked: a process that dies between leaves them to the next.
    (still_open,) = rows(
        connection,
        "select count(*) as lines, coalesce(sum(amount), 0) as amount from ledger.statement_lines where state = 'open'",
    )
    if row["amount"] + still_open["amount"] + unexplained != statements[-1]["closing"]:
        yield (
            f"client_bank stands at [{row['amount']}] with [{still_open['amount']}] still to be booked, the statement"
            f" closes at [{statements[-1]['closing']}]"
        )
    if is_heard_out and still_open["lines"]:
        yield f"[{still_open['lines']}] lines of the bank are never booked"


def steps_are_legal(connection: psycopg.Connection[Any], payouts: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the steps of payouts that there are not."""
    now = {payout["payout_id"]: "prepared" for payout in payouts}
    for step in rows(connection, "select payout_id, from_state, to_state from ledger.payout_history order by step"):
        payout_id, before, after = step["payout_id"], step["from_state"], step["to_state"]
        if now[payout_id] != before or after not in STEPS[before]:
            yield f"payout [{payout_id}] went from [{now[payout_id]}] to [{after}] as [{before}]"
        now[payout_id] = after
    for payout in payouts:
        last = now[payout["payout_id"]]
        if payout["state"] != last:
            yield f"payout [{payout['payout_id']}] is [{payout['state']}], its history ends at [{last}]"


def entries_balance(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Yield the entries and balances that do not add up."""
    for row in rows(connection, "select entry_id from ledger.postings group by 1 having sum(amount) <> 0"):
        yield f"entry [{row['entry_id']}] does not sum to zero"
    for row in rows(
        connection,
        "select account from (select account, currency, sum(amount) as amount from ledger.postings group by 1, 2) p"
        " full join ledger.balances b using (account, currency)"
        " where coalesce(p.amount, 0) <> coalesce(b.amount, 0)",
    ):
        yield f"the balance of [{row['account']}] is not the sum of its postings"


def _one_attempt_lives(payouts: list[dict[str, Any]]) -> Iterator[str]:
    living = Counter(
        (p["settlement_date"], p["revision"], p["payee_id"], p["currency"], p["chunk"])
        for p in payouts
        if p["state"] not in GIVEN_BACK
    )
    for place, times in living.items():
        if times > 1:
            yield f"{times} attempts live in {place}"


def rows(connection: psycopg.Connection[Any], query: str) -> list[Row]:
    """Return what a query finds."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query).fetchall()
