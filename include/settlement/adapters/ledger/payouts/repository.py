"""What is owed, what is prepared, and every step that a payout takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import copying, frames_io
from settlement.adapters.ledger.journal.repository import Journal
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.books import postings
from settlement.domain.books.accounts import PayeeKind
from settlement.domain.books.postings import Entry, JournalEntry
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.state import FINAL, PROVEN_UNPAID, UNSENT, PayoutState
from settlement.ports.days import DayRun
from settlement.ports.payouts import Uncredited, UnderWay

NOTHING: Mapping[str, Any] = MappingProxyType({})
GIVEN_BACK = {PayoutState.REJECTED: postings.payout_rejected, PayoutState.RETURNED: postings.payout_returned}
GIVEN_BACK_BY = {"payout_rejected": postings.payout_rejected, "payout_returned": postings.payout_returned}
HERE = __package__


class Payouts(Repository):
    """What is owed, what is prepared, and every step that a payout takes: see `ports.payouts`."""

    def __init__(self, transaction: sa.Connection, journal: Journal) -> None:
        super().__init__(transaction)
        self._journal = journal

    def payables(self) -> pd.DataFrame:
        """Return what the ledger owes each payee, with the number of the attempt that a payout would be."""
        prefixes = [kind.payable.prefix for kind in PayeeKind]
        named = {"kinds": list(PayeeKind), "prefixes": prefixes, "proven_unpaid": list(PROVEN_UNPAID)}
        return frames_io.named(self.transaction, sql(HERE, "payables"), named, frames.PAYABLES)

    def under_way(self) -> list[UnderWay]:
        """Return what no statement has shown leaving yet, by currency and the days on which it was to leave.

        Counted from the payouts, because in the account `payouts_in_transit` a return that is still to be credited
        would hide a payout that is still to be debited.
        """
        rows = self.transaction.execute(sql(HERE, "under_way"), {"final": list(FINAL)})
        return [UnderWay(**row._mapping) for row in rows]

    def refused_accounts(self) -> pd.DataFrame:
        """Return the accounts that a bank refused for good, by payee."""
        rows = sa.text(
            "select payee_kind, payee_id, payee_account as account, payee_bank as bank from ledger.refused_accounts"
        )
        return frames_io.named(self.transaction, rows, {}, frames.REFUSED_ACCOUNTS)

    def slots(self, day: DayRun) -> pd.DataFrame:
        """Return the chunks that the day's revision has, with their newest attempts."""
        named = {"on": day.settlement_date, "revision": day.revision, "proven_unpaid": list(PROVEN_UNPAID)}
        return frames_io.named(self.transaction, sql(HERE, "slots"), named, frames.SLOTS)

    def stranded(self, *, before: date, prepared_before: datetime) -> pd.DataFrame:
        """Return the payouts of earlier days that nobody is going to send."""
        named = {"before": before, "prepared_before": prepared_before, "unsent": list(UNSENT)}
        return frames_io.named(self.transaction, sql(HERE, "stranded"), named, frames.PAYOUTS)

    def usual_totals(self, on: Sequence[date]) -> dict[str, list[int]]:
        """Return what was paid on these settlement dates, by currency, newest first; a date without payouts is none."""
        found: dict[str, list[int]] = {}
        named = {"on": list(on), "proven_unpaid": list(PROVEN_UNPAID)}
        for row in self.transaction.execute(sql(HERE, "usual_totals"), named):
            found.setdefault(row.currency, []).append(row.amount)
        return found

    def prepare(
        self, day: DayRun, payouts: pd.DataFrame, holds: pd.DataFrame, *, booked_on: date, now: datetime
    ) -> None:
        """Write the payouts with their entries, and the holds as they stand now."""
        frames.check(payouts, frames.NEW_PAYOUTS)
        frames.check(holds, frames.HOLDS)
        keys = {"kinds": "payee_kind", "payees": "payee_id", "currencies": "currency"}
        held = {name: holds[column].tolist() for name, column in keys.items()}
        self.transaction.execute(sql(HERE, "drop_holds"), held)
        amounts = {"amounts": holds["amount"].tolist(), "reasons": holds["reason"].tolist()}
        self.transaction.execute(sql(HERE, "keep_holds"), held | amounts | {"since": day.settlement_date})
        if payouts.empty:
            return
        of_day = {"settlement_date": day.settlement_date, "revision": day.revision, "run_id": day.run_id}
        rows = payouts.astype({"chunk": "int32", "attempt": "int32"})  # as the ledger keeps them
        copying.frame_into(self.transaction, "ledger.payouts", copying.keyed(rows, {**of_day, "prepared_at": now}))
        self._post(payouts, postings.payout_prepared, settlement_date=booked_on, now=now)

    def holds(self) -> pd.DataFrame:
        """Return what is owed and not paid now, and why, as it stood when payouts were prepared last."""
        rows = sa.text(
            "select payee_kind, payee_id, currency, amount, reason from ledger.holds"
            " order by payee_kind, payee_id, currency"
        )
        return frames_io.named(self.transaction, rows, {}, frames.HOLDS)

    def find(self, settlement_date: date | None = None, states: Sequence[PayoutState] = ()) -> pd.DataFrame:
        """Return payouts, by date and states where given, in the order of their ids."""
        named = {"on": settlement_date, "states": list(states)}
        return frames_io.named(self.transaction, sql(HERE, "find"), named, frames.PAYOUTS)

    def unknown_dates(self) -> set[date]:
        """Return the settlement dates with payouts of which nobody knows whether the bank has them."""
        rows = sa.text("select distinct settlement_date from ledger.payouts where state = 'unknown'")
        return set(self.transaction.execute(rows).scalars())

    def by_end_to_end(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return the payouts with these end-to-end ids."""
        rows = sa.text("select * from ledger.payouts where end_to_end_id = any(:ids)")
        return frames_io.named(self.transaction, rows, {"ids": list(ids)}, frames.PAYOUTS)

    def in_file(self, file_id: str) -> pd.DataFrame:
        """Return the payouts of one file, in the order in which they stand in it."""
        rows = sa.text("select * from ledger.payouts where file_id = :id order by end_to_end_id")
        return frames_io.named(self.transaction, rows, {"id": file_id}, frames.PAYOUTS)

    def step(
        self,
        payout_ids: Sequence[str],
        to_state: PayoutState,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NOTHING,
    ) -> None:
        """Take the payouts one step further, each with a row of its history; the database knows which steps exist."""
        if not len(payout_ids):
            return
        self.transaction.execute(
            sql(HERE, "step"),
            {
                "ids": list(payout_ids),
                "to_state": to_state,
                "now": now,
                "cause": cause,
                "evidence": _texts(evidence, len(payout_ids)),
            },
        )

    def note_booking(self, booked: Mapping[str, date]) -> None:
        """Keep the first day on which payouts were booked, where it was not known or a later one was."""
        self.transaction.execute(sql(HERE, "note_booking"), {"ids": list(booked), "days": list(booked.values())})

    def keep_facts(
        self,
        payout_ids: Sequence[str],
        kind: FactKind,
        *,
        source: str,
        now: datetime,
        amounts: Sequence[int] | None = None,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NOTHING,
    ) -> None:
        """Keep what became known of payouts; what the same source says again is known already."""
        self.transaction.execute(
            sql(HERE, "keep_facts"),
            {
                "ids": list(payout_ids),
                "kind": kind,
                "source": source,
                "amounts": list(amounts) if amounts else [None] * len(payout_ids),
                "now": now,
                "said": _texts(evidence, len(payout_ids)),
            },
        )

    def evidence(self, payout_ids: Sequence[str]) -> pd.DataFrame:
        """Return what is known of payouts: what messages and people said, and what statements show."""
        return frames_io.named(self.transaction, sql(HERE, "evidence"), {"ids": list(payout_ids)}, frames.EVIDENCE)

    def spoken_of(self, payout_ids: Sequence[str]) -> set[str]:
        """Return those of these payouts of which a message or a person said something, beside what lines show."""
        return {*self.transaction.execute(sql(HERE, "spoken_of"), {"ids": list(payout_ids)}).scalars()}

    def credit_back(self, payouts: pd.DataFrame, *, state: PayoutState, settlement_date: date, now: datetime) -> None:
        """Give the money of rejected or returned payouts back to the balances that they were prepared from."""
        self._post(payouts, GIVEN_BACK[state], settlement_date=settlement_date, now=now)

    def take_back(self, payouts: pd.DataFrame, *, settlement_date: date, now: datetime) -> None:
        """Take the money again of payouts that were given back and turned out otherwise: their entries are reversed."""
        named = {"ids": payouts["payout_id"].tolist(), "events": list(GIVEN_BACK_BY)}
        given_back = self.transaction.execute(sql(HERE, "given_back"), named)
        made = [
            JournalEntry(
                entry=postings.undone(GIVEN_BACK_BY[row.event](_payable(row.payee_kind, row.payee_id), row.amount)),
                currency=row.currency,
                payout_id=row.payout_id,
                reverses_entry_id=row.entry_id,
            )
            for row in given_back
        ]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)

    def contradicted(self) -> pd.DataFrame:
        """Return the payouts that a statement shows as paid although the bank, or people, said that they were not."""
        return frames_io.named(self.transaction, sql(HERE, "contradicted"), {}, frames.PAYOUTS)

    def uncredited(self) -> list[Uncredited]:
        """Return the payouts that are returned, and that the bank debited more often than it credited them."""
        return [Uncredited(**row._mapping) for row in self.transaction.execute(sql(HERE, "uncredited"))]

    def refuse_accounts(self, refused: Mapping[str, str], *, now: datetime) -> None:
        """Remember that the bank refused the payees' accounts for good: its reasons, by payout."""
        named = {"ids": list(refused), "reasons": list(refused.values()), "now": now}
        self.transaction.execute(sql(HERE, "refuse_accounts"), named)

    def has_paid(self, run_id: str) -> bool:
        """Tell whether a run has made payouts since it opened its day. A run that is cleared opens it anew."""
        return bool(self.transaction.execute(sql(HERE, "has_paid"), {"run": run_id}).scalar())

    def _post(
        self, payouts: pd.DataFrame, entry: Callable[[str, int], Entry[int]], *, settlement_date: date, now: datetime
    ) -> None:
        """Post one entry for each payout."""
        columns = (payouts[name].tolist() for name in ("payout_id", "payee_kind", "payee_id", "currency", "amount"))
        made = [
            JournalEntry(entry=entry(_payable(kind, payee_id), amount), currency=currency, payout_id=payout_id)
            for payout_id, kind, payee_id, currency, amount in zip(*columns, strict=True)
        ]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)


def _payable(kind: str, payee_id: str) -> str:
    """Return the account that a payee is paid from."""
    return PayeeKind(kind).payable(payee_id)


def _texts(said: Mapping[str, Any] | Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Return what is said of so many payouts as JSON: one thing of all, or one of each."""
    each = [said] * count if isinstance(said, Mapping) else said
    return [json.dumps(dict(one), ensure_ascii=False, default=str) for one in each]
