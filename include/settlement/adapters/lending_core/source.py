"""The lending core, read by ADBC: whole columns as Arrow, in one repeatable-read snapshot that can write nothing."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

import adbc_driver_manager
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql import dbapi
from sqlalchemy.engine import make_url

from settlement.domain import frames
from settlement.domain.bank.matching import Subject, SubjectKind
from settlement.domain.breaks import Finding
from settlement.domain.computation import encode
from settlement.domain.days import SettlementCalendar
from settlement.domain.errors import Refused, Unavailable
from settlement.ports.source import BooksView, Facts

Read = Callable[..., pd.DataFrame]
"""Reads one of the queries in `sql`, with its parameters."""

SEPARATOR = "\x1f"
TEXT = pd.StringDtype(na_value=float("nan"))
DTYPES: dict[str, Any] = {
    "disbursed_on": "datetime64[s]",
    "held_from": "datetime64[s]",
    "held_until_exclusive": "datetime64[s]",
    "due_on": "datetime64[s]",
    "received_at": "datetime64[us, UTC]",
    "principal": "int64",
    "amount": "int64",
    "installment_no": "int64",
}


class PostgresLendingCore:
    """The source database at a `postgresql+psycopg://` URL."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._uri = self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    def facts(
        self,
        *,
        day: date,
        calendar: SettlementCalendar,
        view: BooksView,
    ) -> Facts:
        """Return the source's side of the day's inputs; see `ports.LendingCore`.

        A settled window is read again only if the source's count or digest of it differs from the ledger's: what the
        ledger lacks is late, what differs or is gone has changed at the source.
        """
        with self._snapshot() as read, self._snapshot(beside=read) as read_beside:
            suspicious = self._windows_that_differ(read, calendar, view)
            found = [read("received", *calendar.window(on)) for on in [*suspicious, day]]
            # Windows overlap where a date that was settled is a business day no longer.
            repayments = pd.concat(found, ignore_index=True).drop_duplicates()
            booked = view.taken([*suspicious, day])
            changed = _changed(booked, repayments)
            # Asked by id, not by window: in a calendar that has changed a receipt lies in another window than when it
            # was taken, and so does one that was cancelled ahead of its own run and moved since.
            repayments = repayments[~repayments["repayment_id"].isin(view.known(repayments["repayment_id"].tolist()))]
            # What is kept back is tried again as it was taken: its money stands in the ledger with that amount.
            retry = sorted({*view.retry} - {found.subject_id for found in changed})
            if retry:
                repayments = pd.concat([repayments, read("repayments", _joined(retry))], ignore_index=True)
            wanted = _joined(sorted({*repayments["loan_id"], *view.credit_loans}))
            loans = read("loans", wanted)
            # A loan's money is settled in one currency. Until the source says that one again, nothing of it moves.
            booked_in = loans["loan_id"].map(view.currencies(loans["loan_id"].tolist()))
            is_another = booked_in.notna() & (booked_in != loans["currency"])
            if is_another.any():
                changed += _in_another_currency(repayments, loans[is_another], booked_in[is_another])
                repayments = repayments[~repayments["loan_id"].isin(loans.loc[is_another, "loan_id"])]
                loans = loans[~is_another].reset_index(drop=True)
            known = loans["loan_id"]  # what belongs to a loan that does not exist is nobody's
            notes, holdings = self._positions(read, read_beside, known)
            originals = repayments["reverses_repayment_id"].dropna().unique().tolist()
            return Facts(
                loans=loans,
                notes=notes,
                holdings=holdings,
                investors=_among(read("investors"), "investor_id", holdings["investor_id"]),
                receivables=read("receivables", _joined(known.tolist())),
                repayments=repayments,
                originals=read("repayments", _joined(originals)),
                changed=changed,
            )

    def _positions(self, read: Read, read_beside: Read, loans: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the notes of the loans and their holdings, read side by side.

        Where most loans are wanted, the relations are read whole and chosen from here: joining them there, by keys of
        text that do not fit into the server's memory, takes three times as long.
        """
        with ThreadPoolExecutor(1) as beside:
            if 2 * len(loans) >= read("loan_count")["loans"].iloc[0]:
                notes_read = beside.submit(read_beside, "every_note")
                every_holding = read("every_holding")
                notes = _among(notes_read.result(), "loan_id", loans)
                return notes, _among(every_holding, "note_id", notes["note_id"])
            known = _joined(loans.tolist())
            notes_read = beside.submit(read_beside, "notes", known)
            holdings = read("holdings", known)
            return notes_read.result(), holdings

    def payees(self, investor_ids: Sequence[str]) -> pd.DataFrame:
        """Return who is to be paid where."""
        with self._snapshot() as read:
            rows = read("payees", _joined(investor_ids))
        named = rows.rename(columns={"payout_account": "account", "payout_bank": "bank"})[frames.PAYEES.column_names]
        return frames.check(named.astype("str"), frames.PAYEES)

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""
        with self._snapshot() as read:
            rows = read("repayments", _joined(repayment_ids))
        return dict(zip(rows["repayment_id"], rows["received_at"], strict=True))

    def receipts(
        self, *, references: Sequence[str], repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> list[Subject]:
        """Return the receipts, as a statement line would show them, that carry one of the references or ids."""
        with self._snapshot() as read:
            rows = read("receipts", _joined(references), _joined(repayment_ids))
        return [
            Subject(
                kind=SubjectKind.RECEIPT if pd.isna(row["reverses_repayment_id"]) else SubjectKind.RECEIPT_UNDONE,
                subject_id=row["repayment_id"],
                amount=row["amount"] if pd.isna(row["reverses_repayment_id"]) else -row["amount"],
                currency=row["currency"],
                reference="" if pd.isna(row["bank_reference"]) else row["bank_reference"],
                on=calendar.settlement_date_of(row["received_at"].to_pydatetime()),
                group=row["loan_id"],
            )
            for row in rows.to_dict("records")
        ]

    def _windows_that_differ(self, read: Read, calendar: SettlementCalendar, view: BooksView) -> list[date]:
        windows = {on: calendar.window(on) for on in view.settled}
        boundaries = sorted({instant for window in windows.values() for instant in window})
        if not boundaries:
            return []
        counted = read("windows", ",".join(instant.isoformat() for instant in boundaries))
        source = {row["bucket"]: (row["receipts"], row["digest"]) for row in counted.to_dict("records")}
        place = {instant: number for number, instant in enumerate(boundaries, start=1)}
        nothing = (0, "0")
        return [
            on
            for on, window in windows.items()
            if source.get(place[window.from_at], nothing) != view.digests.get(on, nothing)
        ]

    @contextmanager
    def _snapshot(self, *, beside: Read | None = None) -> Iterator[Read]:
        """Open a snapshot, or a second view of the one that is open, which another thread may read."""
        where = f"[{self._url.host or self._url.query.get('host') or 'localhost'}/{self._url.database}]"
        try:
            with dbapi.connect(self._uri, autocommit=True) as connection, connection.cursor() as cursor:
                cursor.execute("begin isolation level repeatable read, read only")
                if beside is not None:
                    cursor.execute(f"set transaction snapshot '{beside('snapshot')['name'].iloc[0]}'")
                cursor.execute("set local work_mem = '128MB'")  # the notes of a large day, joined in memory

                def read(name: str, *parameters: Any) -> pd.DataFrame:
                    texts = [p.isoformat() if isinstance(p, datetime) else p for p in parameters]
                    cursor.execute(_sql(name), parameters=texts)
                    return _frame(cursor.fetch_arrow_table())

                yield read
                cursor.execute("rollback")
        except adbc_driver_manager.OperationalError as error:
            raise Unavailable(f"Lending core {where} does not answer: {_reason(error)}") from None
        except adbc_driver_manager.Error as error:
            raise Refused(
                f"Lending core {where} cannot be read: {_reason(error)} - the six relations of schema core must exist"
                " and be readable for the login of connection [lending_core]"
            ) from None


def _changed(booked: pd.DataFrame, source: pd.DataFrame) -> list[Finding]:
    """Return what the ledger has taken and the source no longer says: rows of those windows that differ or are gone."""
    columns = ["loan_id", "received_at", "amount", "reverses_repayment_id"]
    both = booked.merge(
        source, how="left", on="repayment_id", suffixes=("", "_now"), indicator=True, validate="one_to_one"
    )
    findings = []
    for row in both.to_dict("records"):
        was = {name: row[name] for name in columns if not pd.isna(row[name])}
        now = {name: row[f"{name}_now"] for name in columns if not pd.isna(row[f"{name}_now"])}
        if was != now:
            findings.append(
                Finding(
                    cause="source_changed",
                    subject_kind="repayment",
                    subject_id=row["repayment_id"],
                    currency=row["currency"],
                    amount=row["amount"],
                    evidence={"taken": was, "source": now or "gone"},
                )
            )
    return findings


def _in_another_currency(repayments: pd.DataFrame, loans: pd.DataFrame, booked_in: pd.Series) -> list[Finding]:
    """Return the repayments of loans whose currency is not the one in which their money was settled so far."""
    was = dict(zip(loans["loan_id"], booked_in, strict=True))
    now = dict(zip(loans["loan_id"], loans["currency"], strict=True))
    return [
        Finding(
            cause="source_changed",
            subject_kind="repayment",
            subject_id=row["repayment_id"],
            currency=was[row["loan_id"]],
            amount=row["amount"],
            evidence={
                "taken": {
                    "loan_id": row["loan_id"],
                    "currency": was[row["loan_id"]],
                    "received_at": row["received_at"],
                },
                "source": {"loan_id": row["loan_id"], "currency": now[row["loan_id"]]},
            },
        )
        for row in repayments[repayments["loan_id"].isin(loans["loan_id"])].to_dict("records")
    ]


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def _among(rows: pd.DataFrame, key: str, wanted: pd.Series) -> pd.DataFrame:
    """Return the rows whose key is wanted."""
    keys, wanted_keys = encode.text(rows[key]), encode.text(wanted)
    if pc.run_end_encode(keys).values.equals(wanted_keys):  # the same ones in the same order: nothing is hashed
        return rows
    is_wanted = pc.is_in(keys, pc.unique(wanted_keys)).to_numpy(zero_copy_only=False)
    chosen: pd.DataFrame = rows[is_wanted]
    return chosen.reset_index(drop=True)


def _joined(ids: Sequence[str]) -> str:
    return SEPARATOR.join(ids)


def _frame(table: pa.Table) -> pd.DataFrame:
    for place, column in enumerate(table.schema):
        if pa.types.is_date(column.type):  # Arrow casts a date in a tenth of the time that pandas takes
            table = table.set_column(place, column.name, table[place].cast(pa.timestamp("s")))
    frame: pd.DataFrame = table.to_pandas(types_mapper=lambda kind: TEXT if pa.types.is_string(kind) else None)
    return frame.astype({name: dtype for name, dtype in DTYPES.items() if name in frame.columns})


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
