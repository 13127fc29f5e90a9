"""The part of the books that takes in what a day computed: everything in one transaction, the large tables by COPY."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from settlement.adapters.ledger import copying, days, frames_io
from settlement.adapters.ledger.positions.repository import Positions
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.computation import restatement
from settlement.domain.computation.restatement import Differences
from settlement.domain.frames import Outcome
from settlement.domain.policy import Policy
from settlement.ports.days import DayRun
from settlement.ports.outcomes import Frozen

HERE = __package__

STATE_AFTER = {
    "settled": "settled",
    "reversal": "settled",
    "quarantined": "quarantined",
    "cancelled": "cancelled",
}

KEYS_OF_ALLOCATION = ("repayment_id", "loan_id", "receivable_id", "currency", "component")
"""What a share has of its allocation."""


class Outcomes(Repository):
    """Snapshots' records, and the posting of an outcome."""

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

    def keep_frozen(self, day: DayRun, input_sha256: str, *, books_version: int, now: datetime) -> Frozen:
        """Put the frozen inputs of a revision on record, with the number of the books that was read with them.

        Raises sqlalchemy.exc.IntegrityError: the revision is computed already.
        """
        self.transaction.execute(
            sa.text(
                "insert into ledger.snapshots (settlement_date, revision, input_sha256, books_version, frozen_at)"
                " values (:on, :revision, :sha, :version, :now) on conflict (settlement_date, revision) do update"
                " set input_sha256 = excluded.input_sha256, books_version = excluded.books_version,"
                " frozen_at = excluded.frozen_at"
            ),
            {
                "on": day.settlement_date,
                "revision": day.revision,
                "sha": input_sha256,
                "version": books_version,
                "now": now,
            },
        )
        return Frozen(input_sha256=input_sha256, books_version=books_version)

    def version(self) -> int:
        """Return how often results were posted: inputs read with an older number are stale."""
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

    @contextmanager
    def posting(
        self, day: DayRun, *, policy: Policy, input_sha256: str, code_version: str, now: datetime
    ) -> Iterator["Posting"]:
        """Open the posting of what the day computed; when the context ends, everything taken is one revision.

        Raises sqlalchemy.exc.IntegrityError: the inputs are not those on record, or something was posted since they
            were read.
        """
        posting = Posting(self.transaction, day, now=now)
        yield posting
        whole, output_sha256 = posting.complete()
        self._keep_revision(
            day, whole, policy=policy, input_sha256=input_sha256, output_sha256=output_sha256,
            code_version=code_version, now=now,
        )  # fmt: skip

    def revise(
        self,
        day: DayRun,
        outcome: Outcome,
        differences: Differences,
        *,
        loans: Sequence[str],
        arrived: pd.DataFrame,
        policy: Policy,
        input_sha256: str,
        code_version: str,
        reason: str,
        by: str | None,
        now: datetime,
    ) -> None:
        """Post what loans of a settled date come to now as its next revision: rows whole, of entries what differs.

        Raises sqlalchemy.exc.IntegrityError: the inputs are not those on record, or something was posted since they
            were read.
        """
        posting = Posting(self.transaction, day, now=now)
        posting.take(outcome, arrived=arrived, entries=differences.entries, postings=differences.postings)
        _, output_sha256 = posting.complete()
        totals = self.transaction.execute(sql(days.__name__, "totals"), {"on": day.settlement_date}).mappings()
        former = frames.build(frames.TOTALS, [dict(row) for row in totals])
        self._keep_revision(
            day, _summed([former, restatement.change_of_totals(differences)]), policy=policy, input_sha256=input_sha256,
            output_sha256=output_sha256, code_version=code_version, reason=reason, by=by, now=now,
        )  # fmt: skip
        named = pd.DataFrame({"loan_id": pd.Series(list(loans), dtype="str")})
        keys = {"settlement_date": day.settlement_date, "revision": day.revision}
        copying.frame_into(self.transaction, "ledger.replayed_loans", copying.keyed(named, keys))

    def take_again(self, day: DayRun, outcome: Outcome, *, arrived: pd.DataFrame, now: datetime) -> None:
        """Let repayments stand again where the date had them, whose rows and entries a replay has found unchanged."""
        Posting(self.transaction, day, now=now).take_states(outcome, arrived=arrived)

    def paid(self, settlement_date: date) -> pd.DataFrame:
        """Return what the shares of a date come to by loan, investor and currency: frame `PAID`."""
        self.transaction.execute(sa.text("set local work_mem = '256MB'"))  # the payments of a large day, in memory
        found = self._read("paid", frames.PAID, {"on": settlement_date})
        return frames.of_columns(frames.PAID, {name: found[name].to_pandas() for name in frames.PAID.column_names})

    def shares_of(self, settlement_date: date, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the shares of loans of a date: frame `SHADOW_SHARES`."""
        spec = frames.SHADOW_SHARES
        found = self._read("shares_of_loans", spec, {"on": settlement_date, "loans": list(loan_ids)})
        columns = {name: found[name].to_pandas() for name in spec.column_names}
        came = found["received_at"].cast(pa.timestamp("us", "UTC"))
        return frames.of_columns(spec, columns | {"received_at": came.to_pandas()})

    def _read(self, name: str, spec: frames.Spec, parameters: dict[str, Any]) -> pa.Table:
        """Return the rows of a query as columns of a frame: its texts, and what else it has as whole numbers."""
        is_text = {column.name: column.kind is frames.Kind.TEXT for column in spec.columns}
        schema = pa.schema([(name, pa.large_string() if is_text[name] else pa.int64()) for name in spec.column_names])
        return frames_io.columns(self.transaction, sql(HERE, name).text, parameters, schema)

    def _keep_revision(
        self,
        day: DayRun,
        whole: pd.DataFrame,
        *,
        policy: Policy,
        input_sha256: str,
        output_sha256: str,
        code_version: str,
        now: datetime,
        reason: str | None = None,
        by: str | None = None,
    ) -> None:
        keys = {"settlement_date": day.settlement_date, "revision": day.revision}
        kept = {"sha256": policy.sha256, "content": policy.content, "now": now}
        self.transaction.execute(sql(HERE, "keep_policy"), kept)
        self.transaction.execute(
            sa.text(
                "insert into ledger.revisions (settlement_date, revision, run_id, policy_name, policy_version,"
                " policy_sha256, input_sha256, output_sha256, code_version, computed_at, reason, requested_by) values"
                " (:settlement_date, :revision, :run, :name, :version, :policy, :input, :output, :code, :now, :reason,"
                " :by)"
            ),
            keys
            | {
                "run": day.run_id,
                "name": policy.name,
                "version": policy.version,
                "policy": policy.sha256,
                "input": input_sha256,
                "output": output_sha256,
                "code": code_version,
                "now": now,
                "reason": reason,
                "by": by,
            },
        )
        copying.frame_into(self.transaction, "ledger.day_totals", copying.keyed(whole, keys))
        self.transaction.execute(
            sa.text(
                "update ledger.days set revision = :revision,"
                " state = case when :revision = 1 then 'computed' when state = 'closed' then 'settled' else state end"
                " where settlement_date = :settlement_date"
            ),
            keys,
        )


class Posting:
    """What a day computed, on its way into the books part by part; see `ports.Posting`."""

    def __init__(self, transaction: sa.Connection, day: DayRun, *, now: datetime) -> None:
        self._transaction = transaction
        self._day = day
        self._keys = {"settlement_date": day.settlement_date, "revision": day.revision}
        self._now = now
        self._digest = Digest()
        self._leaves = Leaves(transaction, day)
        self._positions = Positions(transaction)
        self._totals: list[pd.DataFrame] = []

    def take(
        self,
        part: Outcome,
        *,
        arrived: pd.DataFrame,
        entries: pd.DataFrame | None = None,
        postings: pd.DataFrame | None = None,
    ) -> None:
        """Write the next part, and take it into the hash of the whole.

        `entries` and `postings` are posted in place of those of the part, where the date has some of these already.
        """
        for name in frames.OUTCOME.keys() - {"shares", "totals"}:
            self._digest.take(name, getattr(part, name))
        self._totals.append(part.totals)
        self._take_repayments(arrived)
        self._copy_in_order("allocations", part.allocations.drop(columns="allocation_no"),
                            part.allocations["allocation_no"])  # fmt: skip
        self._copy_in_order("credits", part.credits, self._digest.rows["credits"] - len(part.credits) + 1
                            + np.arange(len(part.credits)))  # fmt: skip
        self._quarantine(part)
        self._take_refunds(part)
        self._release_what_ends(part)
        self._copy_shares(part)
        self._positions.write(part.allocations, part.shares, settlement_date=self._day.settlement_date)
        self._post_entries(
            part.entries if entries is None else entries, part.postings if postings is None else postings
        )

    def take_states(self, part: Outcome, *, arrived: pd.DataFrame) -> None:
        """Say where the loans of a part and their repayments stand after it, and what it releases from quarantine."""
        self._take_repayments(arrived)
        self._release_what_ends(part)
        self._positions.write(part.allocations, part.shares, settlement_date=self._day.settlement_date)

    def _release_what_ends(self, part: Outcome) -> None:
        if len(part.released):
            self._release(part.released["repayment_id"].tolist())
        if len(part.refunds):
            self._transaction.execute(
                sa.text(
                    "update ledger.refused_refunds set released_on = :settlement_date"
                    " where released_on is null and refund_id = any(:ids)"
                ),
                {"settlement_date": self._keys["settlement_date"], "ids": part.refunds["refund_id"].tolist()},
            )

    def complete(self) -> tuple[pd.DataFrame, str]:
        """Return the totals of all parts and the hash of everything taken; nothing more can be taken after it."""
        self._leaves.attach()
        whole = _summed(self._totals)
        self._digest.take("totals", whole)
        return whole, self._digest.hexdigest()

    def _take_repayments(self, taken: pd.DataFrame) -> None:
        if taken.empty:
            return
        self._undo_extractions(taken)
        state = taken["outcome"].map(STATE_AFTER)
        reverses = taken["reverses_repayment_id"]
        self._transaction.execute(
            sql(HERE, "take_repayments"),
            {
                "on": self._keys["settlement_date"],
                "ids": taken["repayment_id"].tolist(),
                "loans": taken["loan_id"].tolist(),
                "currencies": taken["currency"].tolist(),
                "received": taken["received_at"].dt.to_pydatetime().tolist(),
                "amounts": taken["amount"].tolist(),
                "reverses": reverses.astype(object).where(reverses.notna(), None).tolist(),
                "states": state.tolist(),
                "windows": taken["window_on"].tolist(),
                "extracted": taken["is_extracted_now"].tolist(),
            },
        )
        undone = taken[reverses.notna() & taken["outcome"].isin(["reversal", "cancelled"])]
        if len(undone):
            self._transaction.execute(
                sa.text(
                    "update ledger.repayments r set reversed_by = t.reversal"
                    " from unnest(cast(:originals as text[]), cast(:reversals as text[])) as t (original, reversal)"
                    " where r.repayment_id = t.original"
                ),
                {
                    "originals": undone["reverses_repayment_id"].tolist(),
                    "reversals": undone["repayment_id"].tolist(),
                },
            )

    def _undo_extractions(self, taken: pd.DataFrame) -> None:
        """Reverse the extraction of what was kept back in another currency than that in which it is taken now."""
        run = self._transaction.execute
        extracted = run(
            sql(HERE, "extracted_otherwise"),
            {"ids": taken["repayment_id"].tolist(), "currencies": taken["currency"].tolist()},
        ).all()
        if not extracted:
            return
        self._release([row.repayment_id for row in extracted])
        run(sa.text("select ledger.ensure_partition('ledger.postings', :settlement_date, 0)"), dict(self._keys))
        run(
            sql(HERE, "reverse_extractions"),
            {**self._keys, "now": self._now, "entries": [row.entry_id for row in extracted]},
        )

    def _release(self, repayment_ids: list[str]) -> None:
        self._transaction.execute(
            sa.text(
                "update ledger.quarantine set released_on = :settlement_date"
                " where released_on is null and repayment_id = any(:ids)"
            ),
            {"settlement_date": self._keys["settlement_date"], "ids": repayment_ids},
        )

    def _quarantine(self, part: Outcome) -> None:
        # A jsonb travels as its version, 1, and its text.
        kept = part.quarantine.assign(evidence="\x01" + part.quarantine["evidence"])
        copying.frame_into(self._transaction, "ledger.quarantine", copying.keyed(kept, self._keys))

    def _take_refunds(self, part: Outcome) -> None:
        """Keep the refunds that are taken, and those that are refused for the first time."""
        taken = part.refunds["refund_id"].tolist()
        before = self._transaction.execute(
            sa.text("select refund_id, count(*) from ledger.refunds where refund_id = any(:ids) group by 1"),
            {"ids": taken},
        )
        times = dict(tuple(row) for row in before) if taken else {}
        number = pd.Series([times.get(refund, 0) + 1 for refund in taken], dtype="int32", index=part.refunds.index)
        copying.frame_into(
            self._transaction, "ledger.refunds", copying.keyed(part.refunds, self._keys).assign(number=number)
        )
        refused = part.refused_refunds.assign(evidence="\x01" + part.refused_refunds["evidence"])
        copying.frame_into(self._transaction, "ledger.refused_refunds", copying.keyed(refused, self._keys))

    def _copy_in_order(self, table: str, frame: pd.DataFrame, position: Any) -> None:
        numbered = copying.keyed(frame, self._keys).assign(position=np.asarray(position, dtype=np.int32))
        copying.frame_into(self._transaction, f"ledger.{table}", numbered)

    def _copy_shares(self, part: Outcome) -> None:
        """COPY the shares beside the keys of their allocations, which are made ready once for each allocation."""
        if part.shares.empty:
            return
        of_allocation = copying.keyed(part.allocations[list(KEYS_OF_ALLOCATION)], self._keys)
        shared, first = copying.fields(of_allocation), int(part.allocations["allocation_no"].iloc[0])

        def rows() -> Iterator[copying.Fields]:
            for batch in copying.batches(part.shares):
                of_share = self._digest.take("shares", batch)
                places = pa.array(batch["allocation_no"].to_numpy() - first)
                yield copying.together(of_share, shared.take(places))

        columns = [*part.shares.columns.str.replace("allocation_no", "position"), *of_allocation.columns]
        copying.into(self._transaction, self._leaves.open("shares"), columns, rows())

    def _post_entries(self, entries: pd.DataFrame, postings: pd.DataFrame) -> None:
        count = len(entries)
        if not count:
            return
        # Nobody else draws from the sequence: everything that posts holds the lock of the books.
        first = self._transaction.execute(
            sa.text(
                "select min(id) from (select nextval('ledger.entries_entry_id_seq') as id"
                " from generate_series(1, :n)) ids"
            ),
            {"n": count},
        ).scalar_one()
        offset = first - int(entries["entry_no"].iloc[0])
        headed = entries[["event", "currency", "repayment_id"]].assign(
            entry_id=entries["entry_no"] + offset,
            reverses_entry_id=entries["reverses_entry_id"].fillna(entries["reverses_entry_no"] + offset),
        )
        copying.frame_into(
            self._transaction, "ledger.entries", copying.keyed(headed, {**self._keys, "recorded_at": self._now})
        )
        place = {"settlement_date": self._keys["settlement_date"], "part": self._keys["revision"]}
        of_entry = copying.fields(copying.keyed(headed[["entry_id", "currency"]], place))
        start = int(entries["entry_no"].iloc[0])

        def rows() -> Iterator[copying.Fields]:
            for batch in copying.batches(postings):
                places = pa.array(batch["entry_no"].to_numpy() - start)
                yield copying.together(copying.fields(batch[["account", "amount"]]), of_entry.take(places))

        columns = ["account", "amount", "entry_id", "currency", "settlement_date", "part"]
        copying.into(self._transaction, self._leaves.open("postings"), columns, rows())


class Leaves:
    """The tables that take a revision's shares and postings, made when the first row comes.

    The first revision of a date fills bare ones; what later ones add is little, and lies in one leaf for all of them.
    """

    def __init__(self, transaction: sa.Connection, day: DayRun) -> None:
        self._transaction = transaction
        self._place = {"on": day.settlement_date, "part": day.revision}
        self._is_first = day.revision == 1
        self._open: dict[str, str] = {}

    def open(self, table: str) -> str:
        """Return the name of the table that takes the rows."""
        if table not in self._open:
            make = "open_leaf" if self._is_first else "ensure_partition"
            leaf = self._transaction.execute(
                sa.text(f"select ledger.{make}(cast(:parent as regclass), :on, :part)"),
                {"parent": f"ledger.{table}"} | self._place,
            ).scalar_one()
            self._open[table] = f"ledger.{leaf if self._is_first else table}"
        return self._open[table]

    def attach(self) -> None:
        """Give the leaves their constraints and indexes, and make them part of their tables."""
        for table in self._open if self._is_first else ():
            self._transaction.execute(
                sa.text("select ledger.attach_leaf(cast(:parent as regclass), :on, :part)"),
                {"parent": f"ledger.{table}"} | self._place,
            )


class Digest:
    """The hash of an outcome, taken as it passes: the same for the same rows, however they are cut into parts.

    What came later than a day has no part in its hash, where it says nothing: so the day can be computed again.
    """

    def __init__(self) -> None:
        self.rows = dict.fromkeys(frames.OUTCOME, 0)
        self._hashes = {name: hashlib.sha256() for name in frames.OUTCOME}

    def take(self, name: str, frame: pd.DataFrame) -> copying.Fields:
        """Take in the next rows of a frame, and return their fields."""
        if "allocation_no" in frame.columns:
            frame = frame.astype({"allocation_no": "int32"})  # as the ledger keeps it
        later = [column.name for column in frames.OUTCOME[name].columns if column.came_later]
        frame = frame.drop(columns=[column for column in later if not frame[column].any()])
        fields = copying.fields(frame)
        self.rows[name] += len(frame)
        self._hashes[name].update(copying.content(fields))
        return fields

    def hexdigest(self) -> str:
        """Return the hash of everything taken in."""
        said = [
            [name, self.rows[name], self._hashes[name].hexdigest()]
            for name, spec in frames.OUTCOME.items()
            if self.rows[name] or not spec.came_later
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def digest(parts: Iterable[Outcome]) -> str:
    """Return the hash of everything that a day computed, which `posting` keeps with the revision."""
    whole, totals = Digest(), []
    for part in parts:
        for name in frames.OUTCOME.keys() - {"totals"}:
            for batch in copying.batches(getattr(part, name)):
                whole.take(name, batch)
        totals.append(part.totals)
    whole.take("totals", _summed(totals))
    return whole.hexdigest()


def _summed(totals: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(totals).groupby("currency", sort=False, as_index=False).sum()
