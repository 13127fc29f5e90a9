"""From what the ledger owes to what is paid: one payout per payee and currency, split at the maximum, or a hold.

Method: every balance owed to an investor (whichever day earned it), or to a borrower for a refund, is either held, with
the first reason that applies, or cut into chunks of at most the policy's maximum, the remainder last. A payout's ids
are made from what it is, so the same payout has the same id whoever prepares it, and different ones never share one.

Always: the chunks of a payee sum to the balance; no payout exceeds it; a balance below zero is never paid, it is
worked off by later credits.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Set
from datetime import date, datetime
from itertools import count

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.bank.messages import ACCOUNT, BANK
from settlement.domain.books.accounts import PayeeKind
from settlement.domain.days import SettlementCalendar
from settlement.domain.policy import Policy

PAYEE = ("payee_kind", "payee_id")
"""What tells a payee from every other."""

MARKS = {PayeeKind.INVESTOR.value: "", PayeeKind.BORROWER.value: "refund."}
"""How the ids of payouts begin, by the kind of their payee: an investor and a refund may have one id."""

PERMANENT_REASONS = frozenset({"AC01", "AC03", "AC04", "AC06", "AC07", "AC14", "BE01", "BE04", "BE06", "BE08", "CNOR",
                               "MD07", "RC01", "RC04", "RR03"})  # fmt: skip
"""Reasons of a bank (ISO 20022 external status and return codes) that an unchanged payee's account will meet again.

Not among them: what is wrong with our own account or name (AC02, AC05, AC13, BE05, BE07, DNOR, RR02), and what passes
by itself (AM04, ED05, MS03, AG01 …): those are offered again by the next run.
"""


def of_each_kind(payees: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the ids of the investors and of the refunds among payees (columns `PAYEE`), each once and in order."""
    ids = payees.groupby("payee_kind")["payee_id"].agg(set)
    return sorted(ids.get(PayeeKind.INVESTOR, ())), sorted(ids.get(PayeeKind.BORROWER, ()))


def leaves_on(calendar: SettlementCalendar, settlement_date: date, submitted_at: datetime) -> date:
    """Return the business day on which a bank should book a payout that was handed over then: its execution date."""
    sent_on = max(calendar.calendar.next_business_day(settlement_date), calendar.local_date(submitted_at))
    days = calendar.calendar
    return sent_on if days.is_business_day(sent_on) else days.next_business_day(sent_on)


def from_balances(
    payables: pd.DataFrame,
    *,
    payees: pd.DataFrame,
    policy: Policy,
    channels: Set[str],
    refused: pd.DataFrame,
    slots: pd.DataFrame,
    settlement_date: date,
    revision: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide the balances into payouts and holds: frames `NEW_PAYOUTS` and `HOLDS`, in the order of their keys.

    `payables`, `payees`, `refused` and `slots` are frames as `frames` specifies them; `channels` the currencies that a
    bank connection pays. A later preparation of the day takes the slots that were proven unpaid with their next
    attempt, and new ones after them. A balance of zero or below is neither paid nor held.

    Raises InvalidFrame: a frame breaks its specification.
    """
    for frame, spec in (
        (payables, frames.PAYABLES),
        (payees, frames.PAYEES),
        (refused, frames.REFUSED_ACCOUNTS),
        (slots, frames.SLOTS),
    ):
        frames.check(frame, spec)
    owed = payables[payables["amount"] > 0].merge(payees, how="left", on=[*PAYEE], validate="many_to_one")
    owed = owed.sort_values([*PAYEE, "currency"], ignore_index=True)
    reason = _why_held(owed, policy=policy, channels=channels, refused=refused)
    holds = owed.assign(reason=reason)[reason.notna()][frames.HOLDS.column_names]
    chunks = _chunks(owed[reason.isna()], policy)
    payouts = _named(_in_slots(chunks, slots), settlement_date=settlement_date, revision=revision)
    return frames.check(payouts, frames.NEW_PAYOUTS), frames.check(holds.reset_index(drop=True), frames.HOLDS)


def _why_held(owed: pd.DataFrame, *, policy: Policy, channels: Set[str], refused: pd.DataFrame) -> "pd.Series[str]":
    """Return why each balance is held, by the first reason that applies, or null."""
    payable_in = {name: rule.minimum for name, rule in policy.payouts.items() if name in channels}
    reasons = {
        "frozen": owed["status"] == "frozen",
        "no_account": owed["status"].isna() | ~_can_be_addressed(owed),
        "account_refused": _is_refused(owed, refused),
        "no_channel": ~owed["currency"].isin(payable_in),
        "below_minimum": owed["amount"] < owed["currency"].map(payable_in).fillna(0).astype("int64"),
    }
    reason = pd.Series(None, index=owed.index, dtype="str")
    for name, applies in reversed(reasons.items()):
        reason[applies.astype("bool")] = name
    return reason


def _is_refused(owed: pd.DataFrame, refused: pd.DataFrame) -> "pd.Series[bool]":
    known = set(refused.itertuples(index=False, name=None))
    named = zip(*(owed[name] for name in (*PAYEE, "account")), owed["bank"].fillna(""), strict=True)
    return pd.Series([account in known for account in named], index=owed.index, dtype="bool")


def _can_be_addressed(owed: pd.DataFrame) -> "pd.Series[bool]":
    """Tell whether a payment file can name each payee; one that it cannot would keep back everybody else in it."""
    account, bank = owed["account"].fillna(""), owed["bank"].fillna("")
    has_name = [any(unicodedata.category(sign)[0] not in "CZ" for sign in name) for name in owed["name"].fillna("")]
    is_bank = (bank == "") | bank.str.fullmatch(BANK.pattern)
    return pd.Series(has_name, index=owed.index, dtype="bool") & is_bank & account.str.fullmatch(ACCOUNT.pattern)


def _chunks(owed: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Return the balances cut at the policy's maximum: it as often as it fits, the remainder last; `place` from 0."""
    maximum = owed["currency"].map({name: rule.maximum for name, rule in policy.payouts.items()}).to_numpy("int64")
    count = -(-owed["amount"].to_numpy() // maximum)
    first = np.repeat(np.cumsum(count) - count, count)
    chunks = owed.loc[owed.index.repeat(count)].reset_index(drop=True)
    place = np.arange(len(chunks)) - first
    left = chunks["amount"].to_numpy() - place * np.repeat(maximum, count)
    return chunks.assign(place=place, amount=np.minimum(left, np.repeat(maximum, count)))


def _in_slots(chunks: pd.DataFrame, slots: pd.DataFrame) -> pd.DataFrame:
    """Return the chunks with their number and attempt: the free slots of their payee first, then new ones."""
    chunk, attempt = (chunks["place"] + 1).to_numpy(copy=True), chunks["attempt"].to_numpy(copy=True)
    if len(slots):
        rows = chunks.groupby([*PAYEE, "currency"], sort=False).indices
        for payee, of_payee in slots.groupby([*PAYEE, "currency"], sort=False):
            for row, (number, tried) in zip(rows.get(payee, ()), _free(of_payee), strict=False):
                chunk[row], attempt[row] = number, max(tried, attempt[row])
    return chunks.assign(chunk=chunk, attempt=attempt)


def _free(slots: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Give out (chunk, attempt) without end: the slots whose payout was proven unpaid, then new ones, tried never."""
    free = slots[slots["is_free"]].sort_values("chunk")
    yield from zip(free["chunk"].tolist(), (free["attempt"] + 1).tolist(), strict=True)
    yield from ((number, 0) for number in count(int(slots["chunk"].max()) + 1))


def _named(chunks: pd.DataFrame, *, settlement_date: date, revision: int) -> pd.DataFrame:
    """Return the chunks as payouts, with the ids that follow from what they are."""
    keys = zip(*(chunks[name] for name in (*PAYEE, "currency", "chunk", "attempt")), strict=True)
    ids = [f"{MARKS[kind]}{settlement_date:%Y%m%d}.{revision}.{'.'.join(map(str, key))}" for kind, *key in keys]
    at_bank = [end_to_end_id(payout_id, settlement_date=settlement_date, revision=revision) for payout_id in ids]
    named = chunks.rename(columns={"name": "payee_name", "account": "payee_account", "bank": "payee_bank"}).assign(
        payout_id=pd.Series(ids, dtype="str"), end_to_end_id=pd.Series(at_bank, dtype="str")
    )
    return named[frames.NEW_PAYOUTS.column_names]


def totals(payouts: pd.DataFrame) -> dict[str, int]:
    """Return the sum of `amount` by `currency`, in the order of the currencies; exact, however large."""
    return {str(currency): sum(amounts.tolist()) for currency, amounts in payouts.groupby("currency")["amount"]}


def end_to_end_id(payout_id: str, *, settlement_date: date, revision: int) -> str:
    """Return the id that the payout has at the bank: 29 capital letters and digits, made from `payout_id` alone.

    Only A–Z and 0–9, because banks upper-case, wrap and strip what else stands in a reference; 80 bits of a hash,
    because ids of payees may be longer than the 35 characters that ISO 20022 leaves (Max35Text).
    """
    digest = hashlib.sha256(payout_id.encode()).digest()[:10]
    return f"ST{settlement_date:%Y%m%d}{revision % 1000:03d}{base64.b32encode(digest).decode()}"


def file_id(end_to_end_ids: Iterable[str], *, settlement_date: date) -> str:
    """Return the message id of a payment file, made from the payouts in it: the same payouts are the same file."""
    digest = hashlib.sha256("\n".join(sorted(end_to_end_ids)).encode()).digest()[:10]
    return f"SF{settlement_date:%Y%m%d}{base64.b32encode(digest).decode()}"
