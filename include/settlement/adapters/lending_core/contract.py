"""The columns of schema `core` that the product reads, and the types that it needs them to have.

A company maps its own schema with views, so a type is wrong by a forgotten cast: it is named before anything is read,
where the driver would fail somewhere, or an instant without its zone would move into another day.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

import pandas as pd

from settlement.domain import frames
from settlement.ports.doctor import Breach


class Wanted(Enum):
    """A kind of type: what to write in a view, and by which names and categories PostgreSQL knows it."""

    TEXT = ("text", (), ("S", "E"))
    WHOLE = ("bigint", ("int2", "int4", "int8"), ())
    DATE = ("date", ("date",), ())
    INSTANT = ("timestamp with time zone", ("timestamptz",), ())

    def is_met_by(self, kind: str, category: str) -> bool:
        """Tell whether a type of this name and category can be read as what is wanted."""
        _, kinds, categories = self.value
        return kind in kinds or category in categories


COLUMNS = {
    "loans": {"loan_id": Wanted.TEXT, "currency": Wanted.TEXT, "disbursed_on": Wanted.DATE},
    "investors": {
        "investor_id": Wanted.TEXT,
        "name": Wanted.TEXT,
        "tax_class": Wanted.TEXT,
        "status": Wanted.TEXT,
        "payout_account": Wanted.TEXT,
        "payout_bank": Wanted.TEXT,
    },
    "notes": {"note_id": Wanted.TEXT, "loan_id": Wanted.TEXT, "principal": Wanted.WHOLE},
    "note_holdings": {
        "note_id": Wanted.TEXT,
        "investor_id": Wanted.TEXT,
        "held_from": Wanted.DATE,
        "held_until_exclusive": Wanted.DATE,
    },
    "receivables": {
        "receivable_id": Wanted.TEXT,
        "loan_id": Wanted.TEXT,
        "installment_no": Wanted.WHOLE,
        "component": Wanted.TEXT,
        "due_on": Wanted.DATE,
        "amount": Wanted.WHOLE,
    },
    "repayments": {
        "repayment_id": Wanted.TEXT,
        "loan_id": Wanted.TEXT,
        "received_at": Wanted.INSTANT,
        "amount": Wanted.WHOLE,
        "bank_reference": Wanted.TEXT,
        "reverses_repayment_id": Wanted.TEXT,
    },
}

OPTIONAL = {
    "refunds": {
        "refund_id": Wanted.TEXT,
        "loan_id": Wanted.TEXT,
        "currency": Wanted.TEXT,
        "amount": Wanted.WHOLE,
        "payee_name": Wanted.TEXT,
        "payee_account": Wanted.TEXT,
        "payee_bank": Wanted.TEXT,
        "requested_at": Wanted.INSTANT,
    },
    "opening_positions": {
        "kind": Wanted.TEXT,
        "subject_id": Wanted.TEXT,
        "currency": Wanted.TEXT,
        "amount": Wanted.WHOLE,
    },
}
"""The relations that a source may do without."""

READ_LATER = {
    ("investors", "name"),
    ("investors", "status"),
    ("investors", "payout_account"),
    ("investors", "payout_bank"),
    ("repayments", "bank_reference"),
    ("refunds", "payee_name"),
    ("refunds", "payee_account"),
    ("refunds", "payee_bank"),
}
"""What only paying and matching read: a source without them can be settled, and whoever reads them says so."""


NULLABLE = {
    ("investors", "payout_account"),
    ("investors", "payout_bank"),
    ("note_holdings", "held_until_exclusive"),
    ("repayments", "bank_reference"),
    ("repayments", "reverses_repayment_id"),
    ("refunds", "payee_bank"),
}
"""The columns that may have no value."""

KEYS = (
    ("loans", ("loan_id",)),
    ("investors", ("investor_id",)),
    ("notes", ("note_id",)),
    ("note_holdings", ("held_from", "note_id")),
    ("receivables", ("receivable_id",)),
    ("repayments", ("repayment_id",)),
    ("repayments", ("reverses_repayment_id",)),
    ("refunds", ("refund_id",)),
    ("opening_positions", ("currency", "kind", "subject_id")),
)
"""What stands in one row of a relation at most, its columns in order of their names."""

REFERENCES = (
    ("notes", "loan_id", "loans", "loan_id"),
    ("note_holdings", "note_id", "notes", "note_id"),
    ("note_holdings", "investor_id", "investors", "investor_id"),
    ("receivables", "loan_id", "loans", "loan_id"),
    ("repayments", "loan_id", "loans", "loan_id"),
    ("repayments", "reverses_repayment_id", "repayments", "repayment_id"),
    ("refunds", "loan_id", "loans", "loan_id"),
)
"""Which column names a row of which relation, by which column of it."""


def broken(columns: pd.DataFrame) -> list[str]:
    """Return what the relations break of the contract so that no day can be settled, one sentence each.

    `columns` are rows of `columns.sql`.
    """
    found = frames.rows(columns, "relation", "name", "type", "kind", "category")
    return [_said(breach) for breach in breaches(found) if not breach.is_read_later or breach.of == "type"]


def breaches(columns: Iterable[Sequence[str]]) -> Iterator[Breach]:
    """Yield every breach of the contract; `columns` are relation, name, type, kind and category of each column."""
    found = {(relation, name): tuple(of_type) for relation, name, *of_type in columns}
    there_are = {relation for relation, _ in found}
    for relation, wanted in (COLUMNS | OPTIONAL).items():
        if relation not in there_are:
            if relation not in OPTIONAL:
                yield Breach(place=f"core.{relation}", of="relation")
            continue
        for name, kind in wanted.items():
            place, is_later = f"core.{relation}.{name}", (relation, name) in READ_LATER
            type_, kind_name, category = found.get((relation, name), ("", "", ""))
            if not type_:
                yield Breach(place=place, of="column", is_read_later=is_later)
            elif not kind.is_met_by(kind_name, category):
                yield Breach(place=place, of="type", type=type_, wanted=kind.value[0], is_read_later=is_later)


def _said(breach: Breach) -> str:
    match breach.of:
        case "relation":
            return f"relation [{breach.place}] is not there"
        case "column":
            relation, _, name = breach.place.rpartition(".")
            return f"[{relation}] has no column [{name}]"
        case "type":
            return f"[{breach.place}] is of type [{breach.type}] and must be [{breach.wanted}]"
