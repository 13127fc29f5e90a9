"""`python -m benchmarks.same OLD NEW`: proves that what leaves the house is the same with two checkouts.

Both settle the demo's days and the same seeded worlds, each with its own Airflow, database, bank and Slack. Compared is
what arrives outside, instants aside: the reporting views row by row, the bytes of the payment files, the messages.
Exit status 0: equal; 1: something differs, and the first differences of each thing are printed; 2: wrong usage, or a
checkout that cannot be driven.

Each checkout is a folder with an environment in `.venv` (`make .venv/.ready`). Thirty worlds take about a quarter of an
hour on two cores, one for each checkout. What both did is kept in a folder only if they differ.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from threading import Event

from benchmarks.same import lab, leaving, play
from benchmarks.same.checkout import CannotCompare, Checkout, check
from benchmarks.same.comparing import Compared, compare

DEMO = "the demo's days"
SHOWN = 5
"""So many differences of one thing in one world are printed, and so much of each; JSON has all."""
LONGEST = 400


def main() -> int:
    """Compare the two checkouts that the command line names and print what differs; 0 if nothing does."""
    asked = _arguments()
    try:
        check(asked.old)
        check(asked.new)
    except CannotCompare as error:
        print(f"same: {error}", file=sys.stderr)
        return 2
    home = Path(tempfile.mkdtemp(prefix="same-"))
    pair = [Checkout(path=path.resolve(), home=home / name) for name, path in (("old", asked.old), ("new", asked.new))]
    try:
        found = _compare(pair, range(asked.seed, asked.seed + asked.worlds), asked.days, has_demo=not asked.no_demo)
    except Exception as error:
        if not isinstance(error, CannotCompare):
            traceback.print_exc()
        print(f"same: {error}. Nothing is proven; what both did is kept in [{home}]", file=sys.stderr)
        return 2
    is_equal = _is_equal(found)
    if asked.json:
        print(json.dumps(_as_json(found), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_told(found)))
    if is_equal:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"same: what both did is kept in [{home}]", file=sys.stderr)
    return 0 if is_equal else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="same", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path, help="the checkout as it was")
    parser.add_argument("new", type=Path, help="the checkout as it is")
    parser.add_argument("--worlds", type=int, default=30, help="how many seeded worlds (30)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--days", type=int, default=4, help="settlement dates of a world, at most (4)")
    parser.add_argument("--no-demo", action="store_true", help="leave out the demo's days")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    if asked.worlds < 0 or asked.days < 1:
        parser.error("--worlds is 0 or more, --days 1 or more")
    return asked


def _compare(pair: list[Checkout], seeds: range, days: int, *, has_demo: bool) -> dict[str, list[Compared]]:
    """Have both do everything at the same time, and return what each thing of each world came to."""
    for checkout in pair:
        checkout.home.mkdir()
    stop = Event()

    def do(checkout: Checkout, server: lab.Postgres) -> dict[str, leaving.Left]:
        try:
            return dict(_all(checkout, server, seeds, days, has_demo=has_demo, stop=stop))
        except BaseException:
            stop.set()
            raise

    with ExitStack() as stack:
        servers = [stack.enter_context(lab.postgres_running(checkout.home / "servers")) for checkout in pair]
        workers = stack.enter_context(ThreadPoolExecutor(len(pair)))
        stack.callback(stop.set)
        old, new = workers.map(do, pair, servers)
    return {
        world: [
            compare(thing, old[world].get(thing), new[world].get(thing), may_grow=thing.startswith("reporting."))
            for thing in sorted(old[world].keys() | new[world].keys())
        ]
        for world in old
    }


def _all(
    checkout: Checkout, server: lab.Postgres, seeds: range, days: int, *, has_demo: bool, stop: Event
) -> Iterator[tuple[str, leaving.Left]]:
    """Yield everything that leaves one checkout: of the demo, and of world after world, until it is told to stop."""
    began, name = time.monotonic(), checkout.home.name

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {name}: {what}", file=sys.stderr, flush=True)

    if has_demo:
        yield DEMO, _demo(checkout)
        say(DEMO)
    checkout.prepare(server)
    say("databases prepared")
    with checkout.airflow(server) as airflow:
        for seed in seeds:
            if stop.is_set():
                return
            folder = checkout.home / f"world-{seed}"
            folder.mkdir()
            yield f"world {seed}", play.play(seed, days, airflow=airflow, server=server, folder=folder)
            say(f"world {seed}")


def _demo(checkout: Checkout) -> leaving.Left:
    home = checkout.home / "demo"
    status = checkout.demo(home)
    with lab.postgres_after_demo(home) as server:
        left = leaving.of_databases(server.url("settlement_db", user="settlement", driver="postgresql"))
    left["exit status"] = [{"status": status}]
    return left | leaving.of_slack(lab.slack_store(home / "slack"))


def _told(found: dict[str, list[Compared]]) -> Iterator[str]:
    """Yield for each thing how many rows were compared, and its first differences in every world that has some."""
    for thing in sorted({compared.thing for world in found.values() for compared in world}):
        of_thing = {world: c for world, everything in found.items() for c in everything if c.thing == thing}
        differing = {world: compared.differences for world, compared in of_thing.items() if compared.differences}
        added = {name: None for compared in of_thing.values() for name in compared.added}
        verdict = f"DIFFERS in {len(differing)} of {len(of_thing)} worlds" if differing else "equal"
        yield f"{thing}: {verdict}, {sum(compared.old for compared in of_thing.values())} rows"
        if added:
            yield f"  only the new one has [{', '.join(added)}], and may: it is not compared"
        for world, differences in differing.items():
            yield from (f"  {world}: {difference}"[:LONGEST] for difference in differences[:SHOWN])
            if len(differences) > SHOWN:
                yield f"  {world}: and {len(differences) - SHOWN} more"


def _as_json(found: dict[str, list[Compared]]) -> dict[str, object]:
    return {
        "equal": _is_equal(found),
        "worlds": {
            world: {compared.thing: {k: v for k, v in asdict(compared).items() if k != "thing"} for compared in things}
            for world, things in found.items()
        },
    }


def _is_equal(found: dict[str, list[Compared]]) -> bool:
    return not any(compared.differences for things in found.values() for compared in things)


if __name__ == "__main__":
    sys.exit(main())
