"""A lender of any size on one settlement date: every loan pays an instalment of interest and principal.

Notes per loan are log-normal with median 41, some loans have 5 000; one loan in a thousand is a whale, whose products
of amount and weight pass 2^63. A few investors hold much and many hold little. Two notes in a hundred were sold once,
one repayment in twenty is short or too much. Everything follows from the seed.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import pyarrow.csv

ON = date(2026, 3, 10)
RECEIVED_AT = "2026-03-10T{:02d}:{:02d}:00+09:00"

MEDIAN_NOTES, SPREAD, MOST_NOTES = 41, 1.3, 5_000
INVESTORS_PER_SHARE = 0.05
WHALE = 5_000_000_000
"""The principal of a whale's note: its instalments times the weight of its loan are far above 2^63."""

TAX_CLASSES = ("individual", "corporation", "lender", "nonresident")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is of a world."""

    shares: int
    loans: int
    notes: int
    investors: int


def load(url: str, shares: int, *, seed: int = 20260310) -> Size:
    """Write a world with about so many shares into the lending core, as a superuser; return its size."""
    random = np.random.default_rng(seed)
    notes_of = notes_of_loans(random, shares // 2)
    loans, notes, investors = len(notes_of), int(notes_of.sum()), max(10, int(shares * INVESTORS_PER_SHARE))
    loan = np.repeat(np.arange(loans), notes_of)
    principal = principal_of(random, loan, loans)
    owed = np.add.reduceat(principal, np.cumsum(notes_of) - notes_of)
    interest, repaid = owed // 120, owed // 12
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("set session_replication_role = replica")  # foreign keys hold by construction
        copy(
            connection,
            "core.loans",
            loan_id=ids("L", loans),
            currency=["KRW"] * loans,
            disbursed_on=["2025-03-10"] * loans,
        )
        write_investors(connection, random, investors)
        copy(connection, "core.notes", note_id=ids("N", notes), loan_id=ids("L", loans).take(loan), principal=principal)
        _holdings(connection, random, notes, investors)
        for component, prefix, amount in (("interest", "RI", interest), ("principal", "RP", repaid)):
            copy(
                connection,
                "core.receivables",
                receivable_id=ids(prefix, loans),
                loan_id=ids("L", loans),
                installment_no=[12] * loans,
                component=[component] * loans,
                due_on=[ON.isoformat()] * loans,
                amount=amount,
            )
        paid = (interest + repaid) * random.choice([100, 97, 103], p=[0.95, 0.03, 0.02], size=loans) // 100
        minute = random.integers(0, 24 * 60, loans).tolist()
        copy(
            connection,
            "core.repayments",
            repayment_id=ids("P", loans),
            loan_id=ids("L", loans),
            received_at=[RECEIVED_AT.format(*divmod(at, 60)) for at in minute],
            amount=paid,
            bank_reference=ids("B", loans),
        )
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return Size(shares=2 * notes, loans=loans, notes=notes, investors=investors)


def notes_of_loans(random: np.random.Generator, notes: int) -> Ints:
    """Return how many notes each loan has; together exactly `notes`."""
    drawn = random.lognormal(np.log(MEDIAN_NOTES), SPREAD, notes // MEDIAN_NOTES + 10)
    counts = np.clip(drawn.astype(np.int64), 1, MOST_NOTES)
    counts[::5_000] = MOST_NOTES
    until = np.cumsum(counts)
    last = int(np.searchsorted(until, notes))
    counts = counts[: last + 1].copy()
    counts[last] -= int(until[last]) - notes
    return counts[counts > 0]


def principal_of(random: np.random.Generator, loan: Ints, loans: int) -> Ints:
    principal = np.exp(random.normal(np.log(300_000), 1.0, len(loan))).astype(np.int64) // 10_000 * 10_000 + 10_000
    is_whale = np.arange(loans) % 1_000 == 17
    principal[is_whale[loan]] += WHALE
    return principal


def write_investors(connection: psycopg.Connection, random: np.random.Generator, count: int) -> None:
    number = np.char.zfill(np.arange(count).astype("U"), 12)
    copy(
        connection,
        "core.investors",
        investor_id=ids("I", count),
        name=ids("Investor ", count),
        tax_class=pa.array(TAX_CLASSES).take(random.choice(4, p=[0.93, 0.04, 0.01, 0.02], size=count)),
        status=pa.array(("active", "frozen")).take(random.choice(2, p=[0.999, 0.001], size=count)),
        payout_account=pa.array(number, mask=random.random(count) < 0.002),
        payout_bank=["088"] * count,
    )


def _holdings(connection: psycopg.Connection, random: np.random.Generator, notes: int, investors: int) -> None:
    is_sold = random.random(notes) < 0.02
    note = np.repeat(np.arange(notes), 1 + is_sold)
    is_later = np.append(False, note[1:] == note[:-1])
    is_first_of_two = np.append(is_later[1:], False)
    holder = (investors * random.random(len(note)) ** 2).astype(np.int64)
    copy(
        connection,
        "core.note_holdings",
        note_id=ids("N", notes).take(note),
        investor_id=ids("I", investors).take(holder),
        held_from=pa.array(("2025-03-10", "2025-09-01")).take(is_later.astype(np.int64)),
        held_until_exclusive=pa.array((None, "2025-09-01"), pa.string()).take(is_first_of_two.astype(np.int64)),
    )


def ids(prefix: str, count: int) -> pa.Array:
    numbers = pa.array(np.char.zfill(np.arange(1, count + 1).astype("U"), 8))
    return pa.compute.binary_join_element_wise(pa.scalar(prefix), numbers, "")


def copy(connection: psycopg.Connection, table: str, **columns: object) -> None:
    content = pa.table({name: pa.array(values) if not isinstance(values, pa.Array) else values
                        for name, values in columns.items()})  # fmt: skip
    options = pa.csv.WriteOptions(include_header=False)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin (format csv)") as copy,
    ):
        for batch in content.to_batches(max_chunksize=1 << 18):
            sink = pa.BufferOutputStream()
            pa.csv.write_csv(pa.Table.from_batches([batch]), sink, options)
            copy.write(sink.getvalue().to_pybytes())
