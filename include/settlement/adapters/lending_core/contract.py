"""The columns of schema `core` that the product reads, and the types that it needs them to have.

A company maps its own schema with views, so a type is wrong by a forgotten cast: it is named before anything is read,
where the driver would fail somewhere, or an instant without its zone would move into another day.
"""

from collections.abc import Iterator, Mapping
from enum import Enum

import pandas as pd

from settlement.domain import frames


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


def broken(columns: pd.DataFrame) -> list[str]:
    """Return what the relations break of the contract, one sentence each; `columns` are rows of `columns.sql`."""
    found = frames.rows(columns, "relation", "name", "type", "kind", "category")
    return list(_broken({(relation, name): tuple(of_type) for relation, name, *of_type in found}))


def _broken(found: Mapping[tuple[str, str], tuple[str, ...]]) -> Iterator[str]:
    there_are = {relation for relation, _ in found}
    for relation, wanted in (COLUMNS | OPTIONAL).items():
        if relation not in there_are:
            if relation not in OPTIONAL:
                yield f"relation [core.{relation}] is not there"
            continue
        for name, kind in wanted.items():
            column = found.get((relation, name))
            if column is None:
                if (relation, name) not in READ_LATER:
                    yield f"[core.{relation}] has no column [{name}]"
            elif not kind.is_met_by(*column[1:]):
                yield f"[core.{relation}.{name}] is of type [{column[0]}] and must be [{kind.value[0]}]"
