"""`python -m benchmarks.shadow`: what a shadow run costs for each date of a lender of any size.

The lender is that of `world`, every loan of which pays on each of so many business days up to `world.ON`. Its dates are
settled once without comparing anything, and their payments are taken out of that shadow as Parquet: an old system's,
which charged a tenth on every hundredth loan. The run that is measured settles the dates again, compares every payment
and explains what differs; it must name every such fee and nothing else.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table
from settlement import config, wiring
from settlement.domain.days import BankCalendar
from settlement.stages import shadow
from settlement_lab.servers import embedded

from benchmarks import world

OTHER_DATES = (
    "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
    " select receivable_id || '-' || %(no)s, loan_id, 12 - %(no)s, component, %(on)s, amount from core.receivables"
    " where installment_no = 12",
    "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
    " select repayment_id || '-' || %(no)s, loan_id, received_at - make_interval(days => %(back)s), amount,"
    " bank_reference || '-' || %(no)s from core.repayments where received_at >= %(since)s",
)
PAID = (
    "copy (select settlement_date, loan_id, investor_id, sum(gross_amount), sum({fee}), sum({vat}),"
    " sum(national_tax_amount), sum(local_tax_amount), sum(net_amount + fee_amount + vat_amount - {fee} - {vat})"
    " from ledger.shares group by 1, 2, 3) to stdout (format csv)"
)
OTHER_FEE = "case when loan_id like '%00' and component = 'interest' then gross_amount / 10 else fee_amount end"
OTHER_VAT = "case when loan_id like '%00' and component = 'interest' then gross_amount / 10 / 10 else vat_amount end"
AMOUNTS = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")


def main() -> None:
    """Make the lender and its old system, run the shadow, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.shadow", description=__doc__)
    parser.add_argument("--shares", type=int, default=1_000_000, help="shares of a date")
    parser.add_argument("--dates", type=int, default=3, help="settlement dates, at most 12")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="shadow-") as folder,
        embedded.running(Path(folder) / "server", durable=False) as server,
    ):
        found = measure(server, Path(folder), asked.shares, asked.dates)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    table = Table("what", "value", box=None)
    for name, value in found.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)


def measure(server: embedded.Server, folder: Path, shares: int, dates: int) -> dict[str, Any]:
    """Return what the run that compares costs, in seconds, and what it found."""
    calendar = BankCalendar("KR", ("public", "bank"))
    on = calendar.days_between(world.ON - timedelta(days=3 * dates), world.ON)[-dates:]
    server.create_database("core", owner="lending_core", template="lending_core")
    size = world.load(server.url("core", user=embedded.SUPERUSER), shares)
    pays_on(server.url("core", user=embedded.SUPERUSER, driver="postgresql"), on[:-1])
    server.create_database("shadow", owner="settlement")
    connections = {
        "LENDING_CORE": server.url("core", user=embedded.READER),
        "SETTLEMENT_SHADOW": server.url("shadow", user="settlement"),
    }
    for name, url in connections.items():
        os.environ[f"AIRFLOW_CONN_{name}"] = json.dumps({"conn_type": "generic", "extra": {"url": url}})
    os.environ["SETTLEMENT_NOW"] = f"{world.ON + timedelta(days=2)}T06:00+09:00"
    nothing = folder / "nothing.csv"
    nothing.write_text("settlement_date,loan_id,investor_id,net_amount\n", encoding="utf-8")
    day_after = on[-1] + timedelta(days=1)
    _, settled_in = run(nothing, since=day_after, until=day_after - timedelta(days=1))
    paid = old_system(server.url("shadow", user=embedded.SUPERUSER, driver="postgresql"), folder)
    found, seconds = run(paid, since=on[0], until=on[-1])
    named = shadow.by_cause(found)
    assert [row["cause"] for row in named] == ["fee"], named
    return {
        "shares_a_date": size.shares,
        "dates": found.compared,
        "payments": found.payments,
        "differences": len(found.differences),
        "settling_seconds": round(settled_in, 1),
        "seconds": round(seconds, 1),
        "seconds_a_date": round(seconds / dates, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "load_average": round(os.getloadavg()[0], 1),
    }


def pays_on(url: str, dates: list[date]) -> None:
    """Have every loan of the world pay on other dates, too, what it pays on its own."""
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")
        for number, on in enumerate(dates, start=1):
            values = {"no": number, "on": on, "back": (world.ON - on).days, "since": f"{world.ON}T00:00+09:00"}
            for statement in OTHER_DATES:
                connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def old_system(url: str, folder: Path) -> Path:
    """Write what a shadow's books paid as Parquet, but for another fee on every hundredth loan; return the file."""
    statement = PAID.format(fee=OTHER_FEE, vat=OTHER_VAT)
    rows = pa.BufferOutputStream()
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            rows.write(row)
    names = ["settlement_date", "loan_id", "investor_id", *AMOUNTS]
    table = pyarrow.csv.read_csv(rows.getvalue(), pyarrow.csv.ReadOptions(column_names=names))
    pyarrow.parquet.write_table(table.sort_by("settlement_date"), folder / "paid.parquet")
    return folder / "paid.parquet"


def run(against: Path, *, since: date, until: date) -> tuple[shadow.Shadowed, float]:
    """Run a shadow, and return what it found and how many seconds it took."""
    began = time.perf_counter()

    def tell(how_far: shadow.Progress) -> None:
        seconds = time.perf_counter() - began
        print(f"  {how_far.on}: {how_far.differing} differ, {seconds:.1f} s", file=sys.stderr, flush=True)

    with wiring.shadow(against=str(against), opening=None) as (services, former):
        found = shadow.shadow(services, former, since=since, until=until, is_opened=False, now=config.now(), tell=tell)
    return found, time.perf_counter() - began


if __name__ == "__main__":
    main()
