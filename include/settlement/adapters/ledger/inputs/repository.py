"""The part of the books that a run sees before it computes: what is taken, what is held, and every position so far.

Positions are those before the settlement date: rows of later days, if any, are not looked at.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import sqlalchemy as sa

from settlement.adapters.ledger import frames_io
from settlement.adapters.ledger.opening.repository import Opening
from settlement.adapters.ledger.positions.repository import Positions
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.computation import encode
from settlement.domain.computation.positions import Sums
from settlement.domain.frames import Inputs
from settlement.ports.source import Facts

HERE = __package__


class BookedInputs(Repository):
    """What the ledger contributes to a day's inputs."""

    def settled_before(self, day: date) -> list[date]:
        """Return the settlement dates before this one that were computed, oldest first."""
        rows = self.transaction.execute(
            sa.text("select settlement_date from ledger.days where revision > 0 and settlement_date < :on order by 1"),
            {"on": day},
        )
        return list(rows.scalars())

    def digests(self) -> dict[date, tuple[int, str]]:
        """Return count and digest of what was taken of each window, by its settlement date."""
        return {row.window_on: (row.receipts, row.digest) for row in self.transaction.execute(sql(HERE, "digests"))}

    def taken(self, windows: Sequence[date]) -> pd.DataFrame:
        """Return what was taken of the windows, and what is kept back of any, as the source said it then."""
        rows = self.transaction.execute(
            sa.text(
                "select repayment_id, loan_id, received_at, amount, reverses_repayment_id, currency, state"
                " from ledger.repayments"
                " where window_on = any(:windows) and state <> 'untaken' or state = 'quarantined' order by 1"
            ),
            {"windows": list(windows)},
        ).all()
        names = ("repayment_id", "loan_id", "received_at", "amount", "reverses_repayment_id", "currency", "state")
        kinds = {column.name: column.kind for column in frames.REPAYMENTS.columns} | {"currency": frames.Kind.TEXT}
        return pd.DataFrame(
            {name: frames.column([row[place] for row in rows], kinds[name]) for place, name in enumerate(names)}
        )

    def known(self, repayment_ids: Sequence[str]) -> set[str]:
        """Return those of the repayments that some run has taken, whatever window they lay in then."""
        return set(
            self.transaction.execute(
                sa.text(
                    "select repayment_id from ledger.repayments where repayment_id = any(:ids) and state <> 'untaken'"
                ),
                {"ids": list(repayment_ids)},
            ).scalars()
        )

    def settled(self, repayment_ids: Sequence[str]) -> set[str]:
        """Return those of the repayments that a run has settled, reversed or not, and reversals that cancelled."""
        rows = self.transaction.execute(
            sa.text(
                "select repayment_id from ledger.repayments where repayment_id = any(:ids) and (state = 'settled'"
                " or state = 'cancelled' and reverses_repayment_id is not null)"
            ),
            {"ids": list(repayment_ids)},
        )
        return set(rows.scalars())

    def currencies(self, loan_ids: Sequence[str]) -> dict[str, str]:
        """Return the currency in which money of these loans was settled, or was taken over, by loan."""
        rows = self.transaction.execute(sql(HERE, "currencies"), {"loans": list(loan_ids)})
        return {row.loan_id: row.currency for row in rows}

    def quarantined(self, day: date) -> list[str]:
        """Return the repayments that are kept back and came in the day's window or before, in order of their ids."""
        rows = self.transaction.execute(
            sa.text(
                "select repayment_id from ledger.repayments where state = 'quarantined' and window_on <= :on order by 1"
            ),
            {"on": day},
        )
        return list(rows.scalars())

    def kept_back_before(self, day: date) -> dict[date, list[str]]:
        """Return the loans of which earlier dates keep money back, by date, in bytewise order."""
        rows = self.transaction.execute(
            sa.text(
                "select settlement_date, array_agg(distinct loan_id order by loan_id) as loans"
                " from ledger.standing_quarantine where released_on is null and settlement_date < :on group by 1"
            ),
            {"on": day},
        )
        return {row.settlement_date: row.loans for row in rows}

    def credit_loans(self, day: date) -> set[str]:
        """Return the loans on which money was held before the day."""
        maybe = self.transaction.execute(sql(HERE, "maybe_held"), {"on": day}).scalars().all()
        return set(self.transaction.execute(sql(HERE, "held_before"), {"on": day, "loans": list(maybe)}).scalars())

    def refunded(self, day: date, refund_ids: Sequence[str]) -> set[str]:
        """Return those of the refunds that a run of an earlier date has taken, as the books stand."""
        rows = self.transaction.execute(
            sa.text(
                "select refund_id from ledger.standing_refunds where refund_id = any(:ids) and settlement_date < :on"
            ),
            {"ids": list(refund_ids), "on": day},
        )
        return set(rows.scalars())

    def settled_later(self, day: date, loan_ids: Sequence[str]) -> list[tuple[date, str]]:
        """Return (settlement date, loan) for the loans that a later day has already moved or kept back."""
        rows = self.transaction.execute(sql(HERE, "settled_later"), {"on": day, "loans": list(loan_ids)})
        return [(row[0], row[1]) for row in rows]

    def see(self, day: date, facts: Facts) -> Inputs:
        """Return the day's inputs: the source's facts with the positions, credits and prior rows of the books."""
        loans = facts.loans["loan_id"].tolist()
        of_loans = {"on": day, "loans": loans}
        positions = Positions(self.transaction)
        repaid, allocated = positions.repaid(day, loans), positions.allocated(day, loans)
        notes, receivables = facts.notes, facts.receivables
        originals = self._originals(facts)
        settled = originals.loc[originals["state"] == "settled", "repayment_id"].tolist()
        return Inputs(
            loans=facts.loans,
            notes=notes.assign(outstanding=notes["principal"] - _looked_up(notes["note_id"], repaid)),
            holdings=facts.holdings,
            investors=facts.investors,
            receivables=receivables.assign(allocated=_looked_up(receivables["receivable_id"], allocated)),
            repayments=self._with_state(facts.repayments, facts.loans),
            credits=self._credits(of_loans),
            refunds=self._with_refusals(day, facts.refunds),
            originals=originals,
            prior_allocations=self._prior_allocations(day, settled),
            prior_shares=self._prior_shares(day, settled),
            prior_entries=self._prior_entries(day, originals["repayment_id"].tolist()),
        )

    def _with_state(self, repayments: pd.DataFrame, loans: pd.DataFrame) -> pd.DataFrame:
        """Say which repayments are quarantined, and which the opening booked and no run has taken.

        One whose loan has another currency by now is extracted anew.
        """
        rows = self.transaction.execute(
            sa.text("select repayment_id, currency from ledger.repayments where state = 'quarantined'")
        )
        kept_in = repayments["repayment_id"].map({row.repayment_id: row.currency for row in rows})
        currency = repayments["loan_id"].map(loans.set_index("loan_id")["currency"])
        is_kept = kept_in.notna() & (currency.isna() | (kept_in == currency))
        opened = Opening(self.transaction).receipts(repayments["loan_id"].unique().tolist())["repayment_id"]
        is_opened = repayments["repayment_id"].isin(opened)
        state = np.where(is_kept, "quarantined", np.where(is_opened, "extracted", "new"))
        columns = [column for column in frames.REPAYMENTS.column_names if column != "state"]
        return repayments[columns].assign(state=pd.Series(state, dtype="str", index=repayments.index))

    def _with_refusals(self, day: date, refunds: pd.DataFrame) -> pd.DataFrame:
        """Say which refunds a run of an earlier date has refused."""
        rows = self.transaction.execute(
            sa.text(
                "select refund_id from ledger.standing_refused_refunds"
                " where refund_id = any(:ids) and settlement_date < :on"
            ),
            {"ids": refunds["refund_id"].tolist(), "on": day},
        )
        state = np.where(refunds["refund_id"].isin(list(rows.scalars())), "refused", "new")
        return refunds.assign(state=pd.Series(state, dtype="str", index=refunds.index))

    def _credits(self, of_loans: dict[str, Any]) -> pd.DataFrame:
        return frames_io.named(self.transaction, sql(HERE, "credits"), of_loans, frames.CREDITS)

    def _originals(self, facts: Facts) -> pd.DataFrame:
        """Say where each original stands; the books may have one that the source shows no longer.

        What came before a lender was taken over and was not taken over with it was settled elsewhere.
        """
        named = facts.repayments["reverses_repayment_id"].dropna().unique().tolist()
        source = {row["repayment_id"]: row for row in facts.originals.to_dict("records")}
        known = {
            row.repayment_id: row
            for row in self.transaction.execute(
                sa.text(
                    "select repayment_id, loan_id, amount, reverses_repayment_id, reversed_by, state"
                    " from ledger.repayments where repayment_id = any(:ids)"
                ),
                {"ids": named},
            )
        }
        opened = {
            row.repayment_id: {"loan_id": row.loan_id, "amount": row.amount, "reverses_repayment_id": None}
            for row in self.transaction.execute(
                sa.text("select * from ledger.opening_receipts where repayment_id = any(:ids)"), {"ids": named}
            )
        }
        opens_at = self.transaction.execute(sa.text("select opens_at from ledger.opening")).scalar()
        rows = []
        for original in [name for name in named if name in source or name in known or name in opened]:
            booked, shown = known.get(original), opened.get(original) or source.get(original, {})
            unsettled = "unsettled"
            if original in opened:
                unsettled = "extracted"
            elif opens_at is not None and booked is None and shown["received_at"] < opens_at:
                unsettled = "before_opening"
            rows.append(
                {
                    "repayment_id": original,
                    "loan_id": booked.loan_id if booked else shown["loan_id"],
                    "amount": booked.amount if booked else shown["amount"],
                    "is_reversal": bool(
                        booked.reverses_repayment_id if booked else not pd.isna(shown["reverses_repayment_id"])
                    ),
                    "is_reversed": bool(booked and booked.reversed_by),
                    "state": booked.state if booked and booked.state != "untaken" else unsettled,
                }
            )
        return frames.build(frames.ORIGINALS, rows)

    def _prior_allocations(self, day: date, repayment_ids: list[str]) -> pd.DataFrame:
        if not repayment_ids:
            return frames.build(frames.PRIOR_ALLOCATIONS)
        query = sql(HERE, "prior", "prior_allocations")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids, "on": day}, frames.PRIOR_ALLOCATIONS)

    def _prior_shares(self, day: date, repayment_ids: list[str]) -> pd.DataFrame:
        if not repayment_ids:  # most days undo nothing, and planning over the shares of every date takes a while
            return frames.build(frames.PRIOR_SHARES)
        query = sql(HERE, "prior", "prior_shares")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids, "on": day}, frames.PRIOR_SHARES)

    def _prior_entries(self, day: date, repayment_ids: list[str]) -> pd.DataFrame:
        if not repayment_ids:
            return frames.build(frames.PRIOR_ENTRIES)
        query = sql(HERE, "prior_entries")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids, "on": day}, frames.PRIOR_ENTRIES)


def _looked_up(keys: "pd.Series[Any]", sums: Sums) -> Any:
    """Return the amount of each key, 0 where there is none, as int64; a note of two loans has that of both."""
    ids = pc.unique(sums.ids)
    amounts = np.zeros(len(ids) + 1, dtype=np.int64)  # what is not found has the last place, NONE
    if len(ids) == len(sums.ids):
        amounts[:-1] = sums.amount
    else:
        np.add.at(amounts, pc.index_in(sums.ids, ids).to_numpy(), sums.amount)
    return amounts[encode.lookup(keys, ids)]
