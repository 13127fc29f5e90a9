"""`settlement rehearse`: rehearsals one after the other, each told in a line, and all of them in one sum."""

from __future__ import annotations

import json as jsons
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO

from settlement import config

from settlement_lab.rehearse import drive
from settlement_lab.rehearse.drive import Summary
from settlement_lab.rehearse.grammar import drive as grammar
from settlement_lab.servers import embedded

ENDINGS = (signal.SIGINT, signal.SIGTERM)

WORDS = {
    "ko": {
        "violation": "위반",
        "replay": "다시 실행",
        "kept": "기록",
        "all": "합계",
        "days": "일",
        "none": "위반 없음",
        "never": "한 번도 나오지 않음",
    },
    "en": {
        "violation": "violation",
        "replay": "replay",
        "kept": "kept",
        "all": "in all",
        "days": "days",
        "none": "no violation",
        "never": "never drawn",
    },
}


BANKS = {"mock-bank": drive.rehearse, "grammar": grammar.rehearse}
"""By name: the rehearsal that each bank is for."""


def run(seed: int, days: int, *, seeds: int, bank: str = "mock-bank", json: bool, lang: str, stream: TextIO) -> int:
    """Play the seeds from `seed` on, print to `stream` how each went, and return 0, or 1 where something was violated.

    Ctrl-C and SIGTERM end it as its end would: no process and no folder stays behind.
    """
    for ending in ENDINGS:
        signal.signal(ending, _end_in_order)
    words = WORDS[lang]
    home = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    done: list[Summary] = []
    try:
        with embedded.running(home / "postgres", durable=False) as server:
            for number in range(seed, seed + seeds):
                began = time.monotonic()
                summary = BANKS[bank](number, days, home=home / f"seed_{number}", server=server)
                done.append(summary)
                if not json:
                    print(_line(summary, words, time.monotonic() - began), file=stream, flush=True)
                if summary.violations:
                    break
                shutil.rmtree(home / f"seed_{number}")
    finally:
        has_violations = any(summary.violations for summary in done)
        if not has_violations:
            shutil.rmtree(home, ignore_errors=True)
    if json:
        print(
            jsons.dumps([summary.to_json() for summary in done], ensure_ascii=False, indent=2), file=stream, flush=True
        )
    else:
        _print_sum(done, words, stream)
    aside = sys.stderr if json else stream  # what reads JSON reads nothing else
    for summary in done:
        for violation in summary.violations:
            print(f"{words['violation']}: {violation}", file=aside)
            print(
                f"{words['replay']}: {config.program()} rehearse --bank {bank} --seed {summary.seed} --days {days}",
                file=aside,
            )
            print(f"{words['kept']}: {home}", file=aside)
    return 1 if has_violations else 0


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, and let nobody hurry that."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _line(summary: Summary, words: dict[str, str], seconds: float) -> str:
    said = ", ".join(f"{name} {count}" for name, count in sorted(summary.counts.items()) if count)
    drawn = f"faults {summary.faults.total()}" if summary.faults else f"productions {summary.productions.total()}"
    return f"seed {summary.seed}: {summary.days} {words['days']}, {seconds:.0f} s, {drawn}, {said}"


def _print_sum(done: list[Summary], words: dict[str, str], stream: TextIO) -> None:
    say = partial(print, file=stream, flush=True)
    faults: Counter[str] = Counter()
    productions: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for summary in done:
        faults += summary.faults
        productions.update(summary.productions)  # keeps what was drawn 0 times, which += does not
        counts += summary.counts
    violations = sum(len(summary.violations) for summary in done)
    say(f"{words['all']}: {sum(summary.days for summary in done)} {words['days']}, seeds {len(done)}")
    if faults:
        say("  faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    for name, count in sorted(productions.items()):
        say(f"  {count:>7}  {name}")
    never = sorted(name for name, count in productions.items() if not count)
    if never:
        say(f"  {words['never']}: {', '.join(never)}")
    say("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count))
    say(f"  {words['violation']} {violations}" if violations else f"  {words['none']}")
