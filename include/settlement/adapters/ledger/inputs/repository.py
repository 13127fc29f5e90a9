"""The part of the books that a run sees before it computes: what is taken, what is held, and every position so far.

Positions are those before the settlement date: rows of later days, if any, are not looked at. Only the newest revision
of a day counts.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from settlement.adapters.ledger import frames_io
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.frames import Inputs
from settlement.ports.source import Facts

HERE = __package__
NEWEST = "join ledger.days d on d.settlement_date = x.settlement_date and d.revision = x.revision"


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
        """Return what was taken of the windows, as the source said it then."""
        rows = self.transaction.execute(
            sa.text(
                "select repayment_id, loan_id, received_at, amount, reverses_repayment_id, currency, state"
                " from ledger.repayments where window_on = any(:windows) order by 1"
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
                sa.text("select repayment_id from ledger.repayments where repayment_id = any(:ids)"),
                {"ids": list(repayment_ids)},
            ).scalars()
        )

    def currencies(self, loan_ids: Sequence[str]) -> dict[str, str]:
        """Return the currency in which money of these loans was settled, by loan."""
        rows = self.transaction.execute(
            sa.text(
                "select distinct loan_id, currency from ledger.repayments"
                " where state = 'settled' and loan_id = any(:loans)"
            ),
            {"loans": list(loan_ids)},
        )
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

    def credit_loans(self, day: date) -> set[str]:
        """Return the loans on which money was held before the day."""
        rows = self.transaction.execute(
            sa.text(
                "select loan_id from ledger.credit_changes where settlement_date < :on"
                " group by loan_id, repayment_id having sum(amount) <> 0"
            ),
            {"on": day},
        )
        return set(rows.scalars())

    def refunded(self, refund_ids: Sequence[str]) -> set[str]:
        """Return those of the refunds that some run has taken."""
        rows = self.transaction.execute(
            sa.text("select refund_id from ledger.refunds where refund_id = any(:ids)"), {"ids": list(refund_ids)}
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
        repaid = frames_io.amounts(
            self.transaction,
            f"select x.note_id, sum(x.gross_amount)::bigint from ledger.shares x {NEWEST}"
            " where x.component = 'principal' and x.settlement_date < %(on)s and x.loan_id = any(%(loans)s)"
            " group by x.note_id",
            of_loans,
        )
        allocated = frames_io.amounts(
            self.transaction,
            f"select x.receivable_id, sum(x.amount)::bigint from ledger.allocations x {NEWEST}"
            " where x.settlement_date < %(on)s and x.loan_id = any(%(loans)s) group by x.receivable_id",
            of_loans,
        )
        notes, receivables = facts.notes, facts.receivables
        originals = self._originals(facts.originals)
        settled = originals.loc[originals["state"] == "settled", "repayment_id"].tolist()
        return Inputs(
            loans=facts.loans,
            notes=notes.assign(outstanding=notes["principal"] - _looked_up(notes["note_id"], repaid)),
            holdings=facts.holdings,
            investors=facts.investors,
            receivables=receivables.assign(allocated=_looked_up(receivables["receivable_id"], allocated)),
            repayments=self._with_state(facts.repayments, facts.loans),
            credits=self._credits(of_loans),
            refunds=self._with_refusals(facts.refunds),
            originals=originals,
            prior_allocations=self._prior_allocations(day, settled),
            prior_shares=self._prior_shares(day, settled),
            prior_entries=self._prior_entries(originals["repayment_id"].tolist()),
        )

    def _with_state(self, repayments: pd.DataFrame, loans: pd.DataFrame) -> pd.DataFrame:
        """Say which repayments are quarantined; one whose loan has another currency by now is extracted anew."""
        rows = self.transaction.execute(
            sa.text("select repayment_id, currency from ledger.repayments where state = 'quarantined'")
        )
        kept_in = repayments["repayment_id"].map({row.repayment_id: row.currency for row in rows})
        currency = repayments["loan_id"].map(loans.set_index("loan_id")["currency"])
        is_kept = kept_in.notna() & (currency.isna() | (kept_in == currency))
        state = np.where(is_kept, "quarantined", "new")
        columns = [column for column in frames.REPAYMENTS.column_names if column != "state"]
        return repayments[columns].assign(state=pd.Series(state, dtype="str", index=repayments.index))

    def _with_refusals(self, refunds: pd.DataFrame) -> pd.DataFrame:
        """Say which refunds an earlier run has refused."""
        rows = self.transaction.execute(
            sa.text("select refund_id from ledger.refused_refunds where refund_id = any(:ids)"),
            {"ids": refunds["refund_id"].tolist()},
        )
        state = np.where(refunds["refund_id"].isin(list(rows.scalars())), "refused", "new")
        return refunds.assign(state=pd.Series(state, dtype="str", index=refunds.index))

    def _credits(self, of_loans: dict[str, Any]) -> pd.DataFrame:
        return frames_io.named(self.transaction, sql(HERE, "credits"), of_loans, frames.CREDITS)

    def _originals(self, source: pd.DataFrame) -> pd.DataFrame:
        """Set where each original stands; `source` has repayment_id, loan_id, amount, reverses_repayment_id."""
        known = {
            row.repayment_id: row
            for row in self.transaction.execute(
                sa.text(
                    "select repayment_id, loan_id, amount, reverses_repayment_id, reversed_by, state"
                    " from ledger.repayments where repayment_id = any(:ids)"
                ),
                {"ids": source["repayment_id"].tolist()},
            )
        }
        rows = []
        for original in source.to_dict("records"):
            booked = known.get(original["repayment_id"])
            rows.append(
                {
                    "repayment_id": original["repayment_id"],
                    "loan_id": booked.loan_id if booked else original["loan_id"],
                    "amount": booked.amount if booked else original["amount"],
                    "is_reversal": bool(
                        booked.reverses_repayment_id if booked else not pd.isna(original["reverses_repayment_id"])
                    ),
                    "is_reversed": bool(booked and booked.reversed_by),
                    "state": booked.state if booked else "unsettled",
                }
            )
        return frames.build(frames.ORIGINALS, rows)

    def _prior_allocations(self, day: date, repayment_ids: list[str]) -> pd.DataFrame:
        query = sql(HERE, "prior", "prior_allocations")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids, "on": day}, frames.PRIOR_ALLOCATIONS)

    def _prior_shares(self, day: date, repayment_ids: list[str]) -> pd.DataFrame:
        query = sql(HERE, "prior", "prior_shares")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids, "on": day}, frames.PRIOR_SHARES)

    def _prior_entries(self, repayment_ids: list[str]) -> pd.DataFrame:
        query = sql(HERE, "prior_entries")
        return frames_io.named(self.transaction, query, {"ids": repayment_ids}, frames.PRIOR_ENTRIES)


def _looked_up(keys: "pd.Series[Any]", amounts: pa.Table) -> Any:
    """Return the amount of each key, 0 where there is none, as int64."""
    places = pc.index_in(pa.array(keys.array).cast(pa.large_string()), amounts["key"].combine_chunks())
    found = pc.fill_null(amounts["amount"].combine_chunks().take(places), 0)
    return found.to_numpy(zero_copy_only=False)
