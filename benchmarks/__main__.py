"""`python -m benchmarks`: settle worlds of several sizes and say what each costs beside COPY of the same rows."""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table
from settlement.adapters.ledger import migrate
from settlement_lab.servers import embedded

from benchmarks import bare, day, history, world

STAGES = ("extract", "compute_and_post", "prepare", "submit", "match")
SETTLING = ("extract", "compute_and_post")


def main() -> None:
    """Measure every size that was asked for, and print a table or JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, embedded.running(Path(folder)) as server:
        if arguments.history:
            found = [
                _with_history(server, Path(folder) / f"{shares}-{days}-{place}", shares, days)
                for shares in arguments.sizes
                for place, days in enumerate(arguments.history)
            ]
        else:
            found = [_measure(server, Path(folder), shares, arguments.stages) for shares in arguments.sizes]
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(_table_of_history(found) if arguments.history else _table(found))
    if arguments.plot:
        from benchmarks import plot

        plot.draw(found, Path(arguments.plot))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000,10000000", type=_numbers, help="shares, joined by commas")
    parser.add_argument(
        "--history", default=[], type=_numbers, help="settled dates before the measured one, joined by commas"
    )
    parser.add_argument("--stages", default="match", choices=STAGES[1:], help="the last stage to run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", help="where to write a picture of cost against size (SVG or PNG)")
    arguments = parser.parse_args()
    arguments.stages = STAGES[: STAGES.index(arguments.stages) + 1]
    return arguments


def _numbers(text: str) -> list[int]:
    return [int(part.replace("_", "")) for part in text.split(",")]


def _measure(server: embedded.Server, folder: Path, shares: int, stages: tuple[str, ...]) -> dict[str, Any]:
    print(f"{shares:,} shares (load average {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
    core, ledger, stripped = f"core_{shares}", f"ledger_{shares}", f"ledger_{shares}_without"
    server.create_database(core, owner="lending_core", template="lending_core")
    size = _in_a_process(world.load, server.url(core, user=embedded.SUPERUSER), shares)
    for name in (ledger, stripped):
        server.create_database(name, owner="settlement")
        migrate.migrate(server.url(name, user="settlement"))
    bare.strip(server.url(stripped, user=embedded.SUPERUSER))
    processors = partial(_server_seconds, _servers_own(server))

    def settle(name: str, stages: tuple[str, ...]) -> dict[str, Any]:
        before = processors()
        urls = server.url(core, user=embedded.READER), server.url(name, user="settlement")
        timings: dict[str, Any] = _in_a_process(day.run, *urls, folder / name, stages=stages)
        used = processors() - before + sum(timings["cpu_seconds"].values())
        return timings | {"processor_seconds": used, "settling": sum(timings["seconds"][stage] for stage in SETTLING)}

    without = settle(stripped, SETTLING)
    server.drop_database(stripped)
    whole = settle(ledger, stages)
    before = processors()
    tables = bare.SETTLED + (bare.PAID if "match" in stages else ())
    administrator = {name: server.url(name, user=embedded.SUPERUSER) for name in (core, ledger)}
    found = bare.measure(administrator[core], administrator[ledger], _servers_own(server), tables=tables)
    copied_for = processors() - before
    copied = bare.total(found, bare.SETTLED)
    server.drop_database(core)
    server.drop_database(ledger)
    ratios = {
        "settling_ratio_without_constraints": without["settling"] / (copied.out + copied.into),
        "settling_ratio_with_constraints": whole["settling"] / (copied.out + copied.into_with_constraints),
    }
    if "match" in stages:
        everything = bare.total(found, tables)
        ratios["day_ratio_with_constraints"] = sum(whole["seconds"].values()) / (
            everything.out + everything.into_with_constraints
        )
    return {
        "shares": size.shares,
        "loans": size.loans,
        "notes": size.notes,
        "investors": size.investors,
        "seconds": whole["seconds"],
        "seconds_without_constraints": without["seconds"],
        "cpu_seconds": whole["cpu_seconds"],
        "processor_seconds": {
            "day": whole["processor_seconds"],
            "day_without_constraints": without["processor_seconds"],
            "copy": copied_for,
        },
        "copy_seconds": {"out": copied.out, "in": copied.into, "in_with_constraints": copied.into_with_constraints},
        **ratios,
        "peak_rss_bytes": max(timings["peak_rss_bytes"][stage] for timings in (whole, without) for stage in SETTLING),
        "peak_rss_bytes_until": whole["peak_rss_bytes"],
        "load_average": os.getloadavg()[0],
    }


def _with_history(server: embedded.Server, folder: Path, shares: int, days: int) -> dict[str, Any]:
    """Return what extract to post costs after so many settled dates, and reading positions as of one in the middle."""
    print(f"{shares:,} shares after {days} dates (load average {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
    core, ledger = f"core_{folder.name}", f"ledger_{folder.name}"
    server.create_database(core, owner="lending_core", template="lending_core")
    server.create_database(ledger, owner="settlement")
    migrate.migrate(server.url(ledger, user="settlement"))
    administrator = [server.url(name, user=embedded.SUPERUSER) for name in (core, ledger)]
    past = _in_a_process(history.load, *administrator, shares, days)
    print(f"  {days} dates made in {past.seconds:.0f} s", file=sys.stderr, flush=True)
    urls = server.url(core, user=embedded.READER), server.url(ledger, user="settlement")
    middle = past.dates[days // 2] if past.dates else world.ON
    positions = _in_a_process(history.read_as_of, *urls, folder, {"next": world.ON, "middle": middle})
    processors = partial(_server_seconds, _servers_own(server))
    before = processors()
    timings: dict[str, Any] = _in_a_process(day.run, *urls, folder, stages=SETTLING)
    used = processors() - before + sum(timings["cpu_seconds"].values())
    with psycopg.connect(administrator[1].replace("+psycopg", "")) as connection:
        ((settled,),) = connection.execute(
            "select count(*) from ledger.shares where settlement_date = %s", [world.ON]
        ).fetchall()
    since = {"oldest": past.dates[0], "middle": middle} if past.dates else {}
    restated = _in_a_process(history.restate, *urls, folder, administrator=administrator[0], since=since)
    for name in (core, ledger):
        server.drop_database(name)
    return {
        "shares": settled,
        "history_days": days,
        "seconds": timings["seconds"],
        "processor_seconds": used,
        "position_seconds": positions,
        "restated_seconds": restated,
        "peak_rss_bytes": max(timings["peak_rss_bytes"].values()),
        "making_seconds": past.seconds,
        "load_average": os.getloadavg()[0],
    }


def _in_a_process(what: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Do it in a process of its own, so that its memory is counted alone and given back."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(what, *arguments, **named).result()


def _server_seconds(data: Path) -> float:
    """Return the processor time of the whole server so far: of its processes, and of those that have ended."""
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    used = sum(postmaster.cpu_times()[:4])
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:2])
    return used


def _servers_own(server: embedded.Server) -> Path:
    with psycopg.connect(server.url("postgres", user=embedded.SUPERUSER, driver="postgresql")) as connection:
        ((folder,),) = connection.execute("show data_directory").fetchall()
        return Path(str(folder))


def growth(found: list[dict[str, Any]]) -> list[float]:
    """Return the exponents with which the cost grows from each size to the next: 1 is linear."""
    return [
        log(sum(after["seconds"].values()) / sum(before["seconds"].values())) / log(after["shares"] / before["shares"])
        for before, after in pairwise(found)
    ]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="A settlement date beside the server's own COPY of the same rows")
    table.add_column("")
    for row in found:
        table.add_column(f"{row['shares']:,} shares", justify="right")
    for stage in found[0]["seconds"]:
        table.add_row(f"{stage}, seconds", *[f"{row['seconds'][stage]:.1f}" for row in found])
    for stage in SETTLING:
        table.add_row(
            f"{stage} without constraints, seconds",
            *[f"{row['seconds_without_constraints'][stage]:.1f}" for row in found],
        )
    for name in ("out", "in", "in_with_constraints"):
        table.add_row(f"COPY {name.replace('_', ' ')}, seconds", *[f"{row['copy_seconds'][name]:.1f}" for row in found])
    table.add_section()
    for name, label in (
        ("settling_ratio_without_constraints", "extract to post × COPY, neither with constraints"),
        ("settling_ratio_with_constraints", "extract to post × COPY, both with constraints"),
        ("day_ratio_with_constraints", "whole day × COPY, both with constraints"),
    ):
        if name in found[0]:
            table.add_row(label, *[f"{row[name]:.2f}" for row in found])
    table.add_row("peak RSS, MB", *[f"{row['peak_rss_bytes'] / 1e6:,.0f}" for row in found])
    table.add_row("growth exponent", "", *[f"{exponent:.2f}" for exponent in growth(found)])
    return table


def _table_of_history(found: list[dict[str, Any]]) -> Table:
    table = Table(title="A settlement date after so many others of the same size")
    table.add_column("")
    for row in found:
        table.add_column(f"{row['shares']:,} shares after {row['history_days']} dates", justify="right")
    for stage in SETTLING:
        table.add_row(f"{stage}, seconds", *[f"{row['seconds'][stage]:.2f}" for row in found])
    table.add_row("extract to post, seconds", *[f"{sum(row['seconds'].values()):.2f}" for row in found])
    table.add_row("processor, seconds", *[f"{row['processor_seconds']:.2f}" for row in found])
    for name in ("next", "middle"):
        label = f"positions before the {name} date, seconds"
        table.add_row(label, *[f"{row['position_seconds'][name]:.2f}" for row in found])
    for name in ("oldest", "middle"):
        label = f"a corrected loan run again from the {name} date on, seconds"
        table.add_row(
            label, *[f"{row['restated_seconds'][name]:.2f}" if row["restated_seconds"] else "–" for row in found]
        )
    table.add_row("peak RSS, MB", *[f"{row['peak_rss_bytes'] / 1e6:,.0f}" for row in found])
    return table


if __name__ == "__main__":
    main()
