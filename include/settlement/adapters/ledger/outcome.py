"""The part of the books that takes in what a day computed: everything in one transaction, the large tables by COPY."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import frames_io
from settlement.domain import frames
from settlement.domain.frames import Outcome
from settlement.domain.policy import Policy
from settlement.ports import DayRun, Frozen

STATE_AFTER = {
    "settled": "settled",
    "reversal": "settled",
    "quarantined": "quarantined",
    "cancelled": "cancelled",
}


class Outcomes:
    """Snapshots' records, and the posting of an outcome."""

    transaction: sa.Connection

    def frozen(self, day: DayRun) -> Frozen | None:
        """Return what is on record of the revision's frozen inputs."""
        row = self.transaction.execute(
            sa.text(
                "select input_sha256, books_version from ledger.snapshots"
                " where settlement_date = :on and revision = :revision"
            ),
            {"on": day.settlement_date, "revision": day.revision},
        ).first()
        return Frozen(input_sha256=row.input_sha256, books_version=row.books_version) if row else None

    def keep_frozen(self, day: DayRun, input_sha256: str, *, now: datetime) -> Frozen:
        """Put the frozen inputs of a revision that is not computed yet on record."""
        version = self.books_version()
        self.transaction.execute(
            sa.text(
                "insert into ledger.snapshots (settlement_date, revision, input_sha256, books_version, frozen_at)"
                " values (:on, :revision, :sha, :version, :now) on conflict (settlement_date, revision) do update"
                " set input_sha256 = excluded.input_sha256, books_version = excluded.books_version,"
                " frozen_at = excluded.frozen_at"
            ),
            {"on": day.settlement_date, "revision": day.revision, "sha": input_sha256, "version": version, "now": now},
        )
        return Frozen(input_sha256=input_sha256, books_version=version)

    def books_version(self) -> int:
        """Return how often results were posted: inputs frozen against an older number are stale."""
        return int(self.transaction.execute(sa.text("select version from ledger.books_version")).scalar_one())

    def is_computed(self, day: DayRun) -> bool:
        """Tell whether this revision's results stand in the books."""
        return (
            self.transaction.execute(
                sa.text("select 1 from ledger.revisions where settlement_date = :on and revision = :revision"),
                {"on": day.settlement_date, "revision": day.revision},
            ).scalar()
            is not None
        )

    def post_outcome(
        self,
        day: DayRun,
        outcome: Outcome,
        *,
        arrivals: Mapping[str, tuple[datetime, date]],
        policy: Policy,
        input_sha256: str,
        code_version: str,
        reason: str | None = None,
        now: datetime,
    ) -> str:
        """Post everything that the day computed, and return the hash of it.

        `arrivals` gives, by repayment, when it came and the settlement date in whose window that lies.
        """
        on, revision = day.settlement_date, day.revision
        output_sha256 = digest(outcome)
        keys = {"settlement_date": on, "revision": revision}
        self.transaction.execute(
            sa.text(
                "insert into ledger.revisions (settlement_date, revision, run_id, reason, policy_name, policy_version,"
                " policy_sha256, input_sha256, output_sha256, code_version, computed_at) values (:settlement_date,"
                " :revision, :run, :reason, :name, :version, :policy, :input, :output, :code, :now)"
            ),
            keys
            | {
                "run": day.run_id,
                "reason": reason,
                "name": policy.name,
                "version": policy.version,
                "policy": policy.sha256,
                "input": input_sha256,
                "output": output_sha256,
                "code": code_version,
                "now": now,
            },
        )
        self._take_repayments(on, outcome.repayments, arrivals)
        copy = frames_io.copy_into
        copy(
            self.transaction,
            "ledger.allocations",
            _keyed(outcome.allocations, keys).rename(columns={"allocation_no": "position"}),
        )
        copy(
            self.transaction,
            "ledger.credits",
            _keyed(outcome.credits, keys).assign(position=np.arange(1, len(outcome.credits) + 1)),
        )
        copy(self.transaction, "ledger.day_totals", _keyed(outcome.totals, keys))
        self._quarantine(on, outcome, keys)
        self._copy_leaf("shares", on, revision, _keyed(frames.widen(outcome.shares, outcome.allocations), keys).rename(
            columns={"allocation_no": "position"}))  # fmt: skip
        self._post_entries(on, revision, outcome, now=now)
        self.transaction.execute(sa.text("update ledger.books_version set version = version + 1"))
        self.transaction.execute(
            sa.text(
                "update ledger.days set revision = :revision, state = 'computed'"
                " where settlement_date = :settlement_date"
            ),
            keys,
        )
        return output_sha256

    def _take_repayments(self, on: date, taken: pd.DataFrame, arrivals: Mapping[str, tuple[datetime, date]]) -> None:
        rows = []
        undone = []
        for row in taken.to_dict("records"):
            if row["outcome"] == "refused":
                continue  # an orphan is not extracted: only a break tells of it
            state = STATE_AFTER[row["outcome"]]
            reverses = None if pd.isna(row["reverses_repayment_id"]) else row["reverses_repayment_id"]
            rows.append(
                {
                    "repayment_id": row["repayment_id"],
                    "loan_id": row["loan_id"],
                    "currency": row["currency"],
                    "received_at": arrivals[row["repayment_id"]][0],
                    "amount": row["amount"],
                    "reverses": reverses,
                    "state": state,
                    "window_on": arrivals[row["repayment_id"]][1],
                    "on": on,
                    "settled_on": on if state == "settled" else None,
                    "is_extracted": bool(row["is_extracted_now"]),
                }
            )
            if reverses and row["outcome"] in ("reversal", "cancelled"):
                undone.append({"original": reverses, "reversal": row["repayment_id"]})
        if rows:
            self.transaction.execute(
                sa.text(
                    "insert into ledger.repayments as r (repayment_id, loan_id, currency, received_at, amount,"
                    " reverses_repayment_id, state, window_on, taken_on, settled_on, is_extracted) values"
                    " (:repayment_id, :loan_id, :currency, :received_at, :amount, :reverses, :state, :window_on, :on,"
                    " :settled_on, :is_extracted) on conflict (repayment_id) do update set state = excluded.state,"
                    " settled_on = excluded.settled_on, is_extracted = r.is_extracted or excluded.is_extracted"
                ),
                rows,
            )
        if undone:
            self.transaction.execute(
                sa.text("update ledger.repayments set reversed_by = :reversal where repayment_id = :original"), undone
            )

    def _quarantine(self, on: date, outcome: Outcome, keys: dict[str, Any]) -> None:
        frames_io.copy_into(self.transaction, "ledger.quarantine", _keyed(outcome.quarantine, keys))
        self.transaction.execute(
            sa.text(
                "update ledger.quarantine set released_on = :on where released_on is null and repayment_id = any(:ids)"
            ),
            {"on": on, "ids": outcome.released["repayment_id"].tolist()},
        )

    def _copy_leaf(self, table: str, on: date, part: int, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        call = {"parent": f"ledger.{table}", "on": on, "part": part}
        leaf = self.transaction.execute(
            sa.text("select ledger.open_leaf(cast(:parent as regclass), :on, :part)"), call
        ).scalar_one()
        frames_io.copy_into(self.transaction, f"ledger.{leaf}", frame)
        self.transaction.execute(sa.text("select ledger.attach_leaf(cast(:parent as regclass), :on, :part)"), call)

    def _post_entries(self, on: date, revision: int, outcome: Outcome, *, now: datetime) -> None:
        count = len(outcome.entries)
        if not count:
            return
        # Nobody else draws from the sequence: everything that posts holds the lock of the books.
        first = self.transaction.execute(
            sa.text(
                "select min(id) from (select nextval('ledger.entries_entry_id_seq') as id"
                " from generate_series(1, :n)) ids"
            ),
            {"n": count},
        ).scalar_one()
        entries = outcome.entries
        reverses = entries["reverses_entry_id"].fillna(entries["reverses_entry_no"] + (first - 1))
        frames_io.copy_into(
            self.transaction,
            "ledger.entries",
            pd.DataFrame(
                {
                    "entry_id": entries["entry_no"] + (first - 1),
                    "settlement_date": pd.Series([on] * count),
                    "revision": revision,
                    "recorded_at": pd.Series([now.isoformat()] * count, dtype="str"),
                    "event": entries["event"],
                    "currency": entries["currency"],
                    "repayment_id": entries["repayment_id"],
                    "reverses_entry_id": reverses.astype("Int64"),
                }
            ),
        )
        postings = outcome.postings
        places = postings["entry_no"].to_numpy() - 1
        self._copy_leaf(
            "postings",
            on,
            revision,
            pd.DataFrame(
                {
                    "settlement_date": _constant(on, len(postings), postings.index),
                    "part": np.full(len(postings), revision, dtype=np.int64),
                    "entry_id": postings["entry_no"] + (first - 1),
                    "account": postings["account"],
                    "currency": entries["currency"].array.take(places),
                    "amount": postings["amount"],
                }
            ),
        )


def digest(outcome: Outcome) -> str:
    """Return the hash of everything that the day computed: same outcome, same hash."""
    whole = hashlib.sha256()
    for name in frames.OUTCOME:
        frame: pd.DataFrame = getattr(outcome, name)
        whole.update(json.dumps([name, len(frame), list(frame.columns)]).encode())
        for column in frame.columns:
            values = frame[column]
            if isinstance(values.dtype, pd.CategoricalDtype):
                values = values.astype("str")
            whole.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
    return whole.hexdigest()


def _keyed(frame: pd.DataFrame, keys: dict[str, Any]) -> pd.DataFrame:
    return frame.assign(**{name: _constant(value, len(frame), frame.index) for name, value in keys.items()})


def _constant(value: Any, length: int, index: Any) -> pd.Series:
    if isinstance(value, date):
        only = pd.Index([value.isoformat()])
        return pd.Series(pd.Categorical.from_codes(np.zeros(length, dtype=np.int8), only), index=index)
    return pd.Series(np.full(length, value, dtype=np.int64), index=index)
