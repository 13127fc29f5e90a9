"""What the server's own COPY needs for the very same rows: those that the day read go out, those it wrote go in.

Rows travel between tables and files of the server, in the binary format, so no client costs anything. Without
constraints they go into bare tables; with them the tables then get every check, key and index that the ledger's own
have. Each table is created in the transaction that fills it, as the day's own are.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

READ = {
    "loans": "select loan_id, currency, disbursed_on from core.loans",
    "investors": "select investor_id, tax_class from core.investors",
    "notes": "select note_id, loan_id, principal from core.notes",
    "holdings": "select note_id, investor_id, held_from, held_until_exclusive from core.note_holdings",
    "receivables": "select receivable_id, loan_id, installment_no, component, due_on, amount from core.receivables",
    "repayments": "select repayment_id, loan_id, received_at, amount, reverses_repayment_id from core.repayments",
}
SETTLED = ("repayments", "allocations", "shares", "credits", "entries", "postings", "balances")
PAID = ("payouts", "payout_history", "statement_lines", "matches")

LEAVES = """
select oid::regclass::text from pg_class where oid = %s::regclass and relkind = 'r'
union all select relid::regclass::text from pg_partition_tree(%s::regclass) where isleaf
"""
LARGE = ("ledger.shares", "ledger.postings")
STRIPPING = """
select format('alter table %%s drop constraint %%I', conrelid::regclass, conname)
  from pg_constraint where conrelid = any(%s::regclass[]) and contype in ('p', 'c')
union all
select format('drop index ledger.%%I', c.relname) from pg_index i join pg_class c on c.oid = i.indexrelid
 where i.indrelid = any(%s::regclass[]) and not i.indisprimary
"""
INDEXES = "select indexdef from pg_indexes where schemaname = 'ledger' and tablename = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Seconds of COPY: of what was read, and of what was written, into bare tables and into whole ones."""

    out: float
    into: float
    into_with_constraints: float


def measure(core_url: str, ledger_url: str, folder: Path, *, tables: tuple[str, ...]) -> dict[str, Bare]:
    """Return what COPY needs for the rows of a day, by table, and under `read` for what it read.

    `folder` must be one that the server can write.
    """
    out = 0.0
    found: dict[str, Bare] = {}
    file = folder / "copy.bin"
    with psycopg.connect(core_url.replace("+psycopg", "")) as connection:
        for query in READ.values():
            out += _timed(connection, f"copy ({query}) to '{file}' (format binary)")
    found["read"] = Bare(out=out, into=0.0, into_with_constraints=0.0)
    with psycopg.connect(ledger_url.replace("+psycopg", "")) as connection:
        for table in tables:
            into = constrained = 0.0
            for (leaf,) in connection.execute(LEAVES, [f"ledger.{table}"] * 2).fetchall():
                connection.execute(f"copy {leaf} to '{file}' (format binary)")
                into += _copied_in(connection, leaf, file, with_constraints=False)
                constrained += _copied_in(connection, leaf, file, with_constraints=True)
            found[table] = Bare(out=0.0, into=into, into_with_constraints=constrained)
    file.unlink(missing_ok=True)
    for name, cost in found.items():
        print(f"  COPY of {name}: {cost.out + cost.into:.2f} s, whole {cost.out + cost.into_with_constraints:.2f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    return found


def strip(ledger_url: str) -> None:
    """Take their checks, keys and indexes from the two large tables, of shares and of postings.

    The day can then be measured without constraints too. What stays are those of the small tables, and that the day
    proves its entries and sums its balances.
    """
    with psycopg.connect(ledger_url.replace("+psycopg", "")) as connection:
        for (statement,) in connection.execute(STRIPPING, [list(LARGE)] * 2).fetchall():
            connection.execute(statement)


def total(found: dict[str, Bare], tables: tuple[str, ...]) -> Bare:
    """Return the sum over what was read and these tables."""
    chosen = [found[name] for name in ("read", *tables)]
    return Bare(
        out=sum(cost.out for cost in chosen),
        into=sum(cost.into for cost in chosen),
        into_with_constraints=sum(cost.into_with_constraints for cost in chosen),
    )


def _copied_in(connection: psycopg.Connection, leaf: str, file: Path, *, with_constraints: bool) -> float:
    connection.commit()
    start = time.perf_counter()
    connection.execute("drop table if exists public.bare")
    kept = "including defaults including constraints" if with_constraints else ""
    connection.execute(f"create table public.bare (like {leaf} {kept})")
    connection.execute(f"copy public.bare from '{file}' (format binary)")
    if with_constraints:
        for (definition,) in connection.execute(INDEXES, (leaf.removeprefix("ledger."),)).fetchall():
            head, _, rest = definition.partition(" USING ")
            unique = "unique " if " UNIQUE " in head else ""
            connection.execute(f"create {unique}index on public.bare using {rest}")
    connection.commit()
    seconds = time.perf_counter() - start
    connection.execute("drop table public.bare")
    connection.commit()
    return seconds


def _timed(connection: psycopg.Connection, sql: str) -> float:
    start = time.perf_counter()
    connection.execute(sql)
    return time.perf_counter() - start
