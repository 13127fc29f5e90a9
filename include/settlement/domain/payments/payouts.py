"""From what the ledger owes to what is paid: one payout per investor and currency, split at the maximum, or a hold.

Method: every balance owed to an investor (whichever day earned it) is either held, with the first reason that applies,
or cut into chunks of at most the policy's maximum, the remainder last. A payout's ids are made from what it is, so the
same payout has the same id whoever prepares it, and different payouts never share one.

Always: the chunks of an investor sum to the balance; no payout exceeds it; a balance below zero is never paid, it is
worked off by later credits.
"""

import base64
import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from settlement.domain.policy import Policy

PERMANENT_REASONS = frozenset({"AC01", "AC03", "AC04", "AC06", "AC07", "AC14", "BE01", "BE04", "BE06", "BE08", "CNOR",
                               "MD07", "RC01", "RC04", "RR03"})  # fmt: skip
"""Reasons of a bank (ISO 20022 external status and return codes) that an unchanged payee's account will meet again.

Not among them: what is wrong with our own account or name (AC02, AC05, AC13, BE05, BE07, DNOR, RR02), and what passes
by itself (AM04, ED05, MS03, AG01 …): those are offered again by the next run.
"""

ACCOUNT = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,32}[\x21-\x7e])?")
"""An account that a payment file can name: ISO 20022 Max34Text, printable."""

BANK = re.compile(r"[\x21-\x7e]{1,28}")
"""A BIC, or a member number in a clearing."""

PROVEN_UNPAID = frozenset({"rejected", "returned"})
"""The states in which a payout's money is back with the investor: only then its next attempt may exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """What the ledger owes one investor in one currency; `attempt` is the number that a payout of it would have."""

    investor_id: str
    currency: str
    amount: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    """Whom the source says the investor's money goes to. Personal data: kept with the payout, shown nowhere."""

    investor_id: str
    name: str
    status: str
    account: str | None
    bank: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One payment to be made."""

    payout_id: str
    end_to_end_id: str
    investor_id: str
    currency: str
    chunk: int
    attempt: int
    amount: int
    payee_name: str
    payee_account: str
    payee_bank: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A chunk that a day and revision has for an investor and currency: its newest attempt, and whether that lives."""

    chunk: int
    attempt: int
    is_free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A balance that is owed and not paid now."""

    investor_id: str
    currency: str
    amount: int
    reason: str


def from_balances(
    balances: Iterable[Payable],
    *,
    payees: Mapping[str, Payee],
    policy: Policy,
    channels: Set[str],
    refused: Set[tuple[str, str, str]],
    places: Mapping[tuple[str, str], Sequence[Place]],
    settlement_date: date,
    revision: int,
) -> tuple[list[Payout], list[Hold]]:
    """Divide the balances into payouts and holds, both in the order of (investor_id, currency, chunk).

    `channels` are the currencies that a bank connection pays; `refused` the (investor, account, bank) that a bank
    refused for good; `places` the chunks that this day and revision already has for an investor and currency: a later
    preparation of the day takes the places that were proven unpaid with their next attempt, and new ones after them.
    """
    payouts: list[Payout] = []
    holds: list[Hold] = []
    for owed in sorted(balances, key=lambda b: (b.investor_id.encode(), b.currency)):
        if owed.amount <= 0:
            continue
        payee = payees.get(owed.investor_id)
        reason = _why_held(owed, payee, policy=policy, channels=channels, refused=refused)
        if reason or payee is None or payee.account is None:
            holds.append(
                Hold(
                    investor_id=owed.investor_id,
                    currency=owed.currency,
                    amount=owed.amount,
                    reason=reason or "no_account",
                )
            )
            continue
        free = _free_places(places.get((owed.investor_id, owed.currency), ()), attempt=owed.attempt)
        for amount in _chunks(owed.amount, policy.payouts[owed.currency].maximum):
            chunk, attempt = next(free)
            payout_id = f"{settlement_date:%Y%m%d}.{revision}.{owed.investor_id}.{owed.currency}.{chunk}.{attempt}"
            payouts.append(
                Payout(
                    payout_id=payout_id,
                    end_to_end_id=end_to_end_id(payout_id, settlement_date=settlement_date, revision=revision),
                    investor_id=owed.investor_id,
                    currency=owed.currency,
                    chunk=chunk,
                    attempt=attempt,
                    amount=amount,
                    payee_name=payee.name,
                    payee_account=payee.account,
                    payee_bank=payee.bank,
                )
            )
    return payouts, holds


def totals(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sum of `amount` by `currency`, in the order of the currencies."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["currency"]] += row["amount"]
    return dict(sorted(sums.items()))


def end_to_end_id(payout_id: str, *, settlement_date: date, revision: int) -> str:
    """Return the id that the payout has at the bank: 29 capital letters and digits, made from `payout_id` alone.

    Only A–Z and 0–9, because banks upper-case, wrap and strip what else stands in a reference; 80 bits of a hash,
    because investor ids may be longer than the 35 characters that ISO 20022 leaves (Max35Text).
    """
    digest = hashlib.sha256(payout_id.encode()).digest()[:10]
    return f"ST{settlement_date:%Y%m%d}{revision % 1000:03d}{base64.b32encode(digest).decode()}"


def file_id(end_to_end_ids: Iterable[str], *, settlement_date: date) -> str:
    """Return the message id of a payment file, made from the payouts in it: the same payouts are the same file."""
    digest = hashlib.sha256("\n".join(sorted(end_to_end_ids)).encode()).digest()[:10]
    return f"SF{settlement_date:%Y%m%d}{base64.b32encode(digest).decode()}"


def _why_held(
    owed: Payable,
    payee: Payee | None,
    *,
    policy: Policy,
    channels: Set[str],
    refused: Set[tuple[str, str, str]],
) -> str | None:
    if payee is not None and payee.status == "frozen":
        return "frozen"
    if payee is None or not payee.account or not _can_be_addressed(payee):
        return "no_account"
    if (owed.investor_id, payee.account, payee.bank or "") in refused:
        return "account_refused"
    if owed.currency not in channels or owed.currency not in policy.payouts:
        return "no_channel"
    if owed.amount < policy.payouts[owed.currency].minimum:
        return "below_minimum"
    return None


def _can_be_addressed(payee: Payee) -> bool:
    """Tell whether a payment file can name the payee; one that it cannot would keep back everybody else in the file."""
    return (
        ACCOUNT.fullmatch(payee.account or "") is not None
        and (not payee.bank or BANK.fullmatch(payee.bank) is not None)
        and any(unicodedata.category(character)[0] not in "CZ" for character in payee.name)
    )


def _free_places(places: Sequence[Place], *, attempt: int) -> Iterator[tuple[int, int]]:
    """Give out (chunk, attempt): first the places whose payout was proven unpaid, then new ones, without end."""
    for place in sorted(places, key=lambda place: place.chunk):
        if place.is_free:
            yield place.chunk, max(place.attempt + 1, attempt)
    yield from ((chunk, attempt) for chunk in count(max((place.chunk for place in places), default=0) + 1))


def _chunks(amount: int, maximum: int) -> list[int]:
    whole, rest = divmod(amount, maximum)
    return [maximum] * whole + ([rest] if rest else [])
