"""The lending core as the doctor looks at it: what a constraint proves of all rows is believed, the rest is read.

What has to be read is read in the first rows of each relation: a source may hold a hundred million of them, and a
mapping that is wrong is wrong from its first row on.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from settlement.adapters.lending_core import contract
from settlement.domain.bank.matching.spelling import shape
from settlement.ports.doctor import Breach, Faulty, Holders, Looked, Receipts, Rights, TaxCase, TookTooLong

MOST_ROWS = 100_000
MOST_LOANS = 10_000
MOST_RECEIPTS = 1_000
MOST_SHAPES = 3
QUERY_CANCELED = "57014"


class SourceExam:
    """The source over an engine; see `ports.doctor.SourceExam`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def rights(self) -> Sequence[Rights]:
        """Return what the login may do with each relation of the contract that is there."""
        found = self._rows("rights", relations=[*contract.COLUMNS, *contract.OPTIONAL])
        return [Rights(relation=r.relation, may_read=r.may_read, writes=r.writes, is_owned=r.is_owned) for r in found]

    def breaches(self) -> Sequence[Breach]:
        """Return what the relations break of the contract."""
        return list(contract.breaches(self._columns()))

    def nulls(self) -> Looked:
        """Return the columns that have no value in rows where they must."""
        proven = self._proven("value")
        wanted = [
            (relation, name)
            for relation, name, *_ in self._columns()
            if name in contract.COLUMNS.get(relation, {}) | contract.OPTIONAL.get(relation, {})
            and (relation, name) not in contract.NULLABLE
        ]
        unproven = sorted(place for place in wanted if (*place, "") not in proven)
        faulty, sampled = [], 0
        for relation, places in groupby(unproven, key=lambda place: place[0]):
            names = [name for _, name in places]
            counts = ", ".join(f"count(*) filter (where {name} is null) as {name}" for name in names)
            row = self._row("nulls", relation=relation, counts=counts)
            sampled += len(names) if row["looked"] == MOST_ROWS else 0
            faulty += [Faulty(place=f"core.{relation}.{name}", rows=row[name]) for name in names if row[name]]
        return Looked(faulty=faulty, proven=len(wanted) - len(unproven), read=len(unproven), sampled=sampled)

    def duplicates(self) -> Looked:
        """Return the keys that stand more than once."""
        there_are, proven = {relation for relation, *_ in self._columns()}, self._proven("key")
        wanted = [(relation, columns) for relation, columns in contract.KEYS if relation in there_are]
        unproven = [
            (relation, columns) for relation, columns in wanted if (relation, ",".join(columns), "") not in proven
        ]
        looked = {
            f"core.{relation} ({', '.join(columns)})": self._row(
                "duplicates",
                relation=relation,
                columns=", ".join(columns),
                is_there=" and ".join(f"{column} is not null" for column in columns),
            )
            for relation, columns in unproven
        }
        return _looked(looked, proven=len(wanted) - len(unproven))

    def orphans(self) -> Looked:
        """Return the columns that name something that is not there."""
        there_are, proven = {relation for relation, *_ in self._columns()}, self._proven("reference")
        wanted = [found for found in contract.REFERENCES if found[0] in there_are]
        unproven = [found for found in wanted if (found[0], found[1], f"{found[2]}.{found[3]}") not in proven]
        looked = {
            f"core.{relation}.{column}": self._row("orphans", relation=relation, column=column, parent=parent, key=key)
            for relation, column, parent, key in unproven
        }
        return _looked(looked, proven=len(wanted) - len(unproven))

    def values(self) -> Sequence[Faulty]:
        """Return the columns that say what the contract does not know, or an amount that it does not allow."""
        found = [Faulty(place=r.place, rows=r.rows, said=r.said) for r in self._rows("values", most=MOST_ROWS)]
        if ("investors", "status") in {(relation, name) for relation, name, *_ in self._columns()}:
            statuses = self._rows("statuses", most=MOST_ROWS)
            found += [Faulty(place="core.investors.status", rows=r.rows, said=r.said) for r in statuses]
        return found

    def holders(self, since: date) -> Holders:
        """Return how the notes of loans are held that were due or paid since a date."""
        (row,) = self._rows("active", "holders", since=since, most=MOST_LOANS)
        return Holders(**row._mapping)

    def tax_cases(self, since: date) -> Sequence[TaxCase]:
        """Return what the rules of withholding have to cover of the loans that were due or paid since a date."""
        return [TaxCase(**row._mapping) for row in self._rows("active", "tax_cases", since=since, most=MOST_LOANS)]

    def currencies(self) -> Mapping[str, int]:
        """Return the currencies of the loans, and how many loans each has."""
        return {row.currency: row.loans for row in self._rows("currencies")}

    def newest_receipt_at(self) -> datetime | None:
        """Return when the newest receipt came."""
        found: datetime | None = self._run("select max(received_at) as newest from core.repayments")[0].newest
        return found

    def receipts(self) -> Receipts:
        """Return what the newest receipts look like."""
        found = self._rows("receipts", most=MOST_RECEIPTS)
        written = [row.bank_reference for row in found if row.bank_reference]
        return Receipts(
            seen=len(found),
            with_reference=len(written),
            shapes=list(dict.fromkeys(map(shape, written)))[:MOST_SHAPES],
        )

    def has_opening(self) -> bool:
        """Tell whether the source has opening positions."""
        is_there = "opening_positions" in {relation for relation, *_ in self._columns()}
        return is_there and bool(self._run("select exists (select from core.opening_positions) as has")[0].has)

    def known(self, references: Iterable[str]) -> frozenset[str]:
        """Return those of the references that a receipt carries."""
        return frozenset(row.bank_reference for row in self._rows("known", references=list(references)))

    def _columns(self) -> list[tuple[str, ...]]:
        return [tuple(map(str, row)) for row in self._run(_sql("columns.sql"))]

    def _proven(self, kind: str) -> set[tuple[str, str, str]]:
        return {(row.relation, row.columns, row.refers_to) for row in self._rows("proven") if row.kind == kind}

    def _row(self, name: str, **names: str) -> Mapping[str, int]:
        """Return the one row of a query whose places are filled with names of the contract."""
        (row,) = self._run(_sql("doctor", f"{name}.sql").format(**names), most=MOST_ROWS)
        return dict(row._mapping)

    def _rows(self, *names: str, **values: object) -> Sequence[sa.Row[tuple[Any, ...]]]:
        return self._run("\n".join(_sql("doctor", f"{name}.sql") for name in names), **values)

    def _run(self, statement: str, **values: object) -> Sequence[sa.Row[tuple[Any, ...]]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(sa.text(statement), values).all()
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
                raise TookTooLong from None
            raise


def _looked(found: Mapping[str, Mapping[str, int]], *, proven: int) -> Looked:
    return Looked(
        faulty=[Faulty(place=place, rows=row["faulty"]) for place, row in found.items() if row["faulty"]],
        proven=proven,
        read=len(found),
        sampled=sum(row["looked"] == MOST_ROWS for row in found.values()),
    )


@cache
def _sql(*path: str) -> str:
    return resources.files(__package__).joinpath("sql", *path).read_text(encoding="utf-8")
