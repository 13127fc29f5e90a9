"""The demo as a person types it: about five minutes on two cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


Start = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a demo; whatever becomes of the test, none of them outlives it."""
    with ExitStack() as stack:

        def started(home: Path) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "settlement.cli", "demo", "--home", str(home), "--json"]
            demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.callback(demo.communicate)
            stack.callback(demo.kill)
            return demo

        yield started


def result(demo: subprocess.Popen[str]) -> dict[str, Any]:
    out, said = demo.communicate(timeout=600)
    assert demo.returncode == 0, said
    value: dict[str, Any] = json.loads(out)
    return value


def processes_of(home: Path) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [
        one for one in found if any(str(home) in part for part in one.info["cmdline"] or []) and one.pid != os.getpid()
    ]


def nothing_is_left(home: Path) -> bool:
    deadline = time.monotonic() + 60
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not processes_of(home)


def test_the_demo_settles_five_days_twice_and_two_of_them_do_not_meet(tmp_path: Path, start: Start) -> None:
    first, other = start(tmp_path / "one"), start(tmp_path / "other")
    one, two = result(first), result(other)
    assert [(day["settlement_date"], day["state"]) for day in one["days"]] == [
        ("2026-02-12", "closed"),
        ("2026-02-13", "closed"),
        ("2026-02-19", "closed"),
        ("2026-02-20", "closed"),
        ("2026-02-23", "closed"),
    ]
    for day in one["days"]:
        parts = ("distributed", "fee", "tax", "credit", "quarantined", "refunded")
        assert day["received_amount"] == sum(day[f"{part}_amount"] for part in parts)
    # The borrower who overpaid on the 20th has the money back on the 23rd.
    assert [day["refunded_amount"] for day in one["days"]] == [0, 0, 0, 0, 70_000]
    assert one["days"][-1]["credit_amount"] == -70_000
    # A weekend and the three days of the Lunar New Year make no break older; the record that comes late resolves it.
    assert [
        (found["day"], found["what"], found["age_business_days"], found["days"], found["amount"])
        for found in one["breaks"]
        if found["cause"] == "unknown_at_bank"
    ] == [
        ("2026-02-13", "opened", 0, 0, 1_804_200),
        ("2026-02-19", "older", 1, 6, 1_804_200),
        ("2026-02-20", "older", 2, 7, 1_804_200),
        ("2026-02-23", "resolved", 3, 10, 1_804_200),
    ]
    assert one["changed"]
    assert one["bank_agrees"]
    assert one["already_settled"] == []
    assert one["days"] == two["days"]
    again = result(start(tmp_path / "one"))
    assert not again["changed"]
    assert again["breaks"] == []
    assert len(again["already_settled"]) == 5
    assert again["days"] == one["days"]
    looked = [sys.executable, "-m", "settlement.cli", "demo", "--home", str(tmp_path / "one"), "doctor", "--json"]
    checks = json.loads(subprocess.run(looked, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert [check for check in checks if check["level"] != "ok"] == []
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_demo_that_is_cut_off_leaves_no_process_and_the_next_one_ends_the_same(
    tmp_path: Path, start: Start, end: signal.Signals
) -> None:
    demo = start(tmp_path)
    log = tmp_path / "log" / "story.log"
    deadline = time.monotonic() + 300
    while not (log.exists() and "end task task_id=transfer.prepare" in log.read_text(errors="replace")):
        assert time.monotonic() < deadline
        assert demo.poll() is None
        time.sleep(0.2)
    demo.send_signal(end)
    demo.communicate()
    assert nothing_is_left(tmp_path)
    recovered = result(start(tmp_path))
    assert [day["state"] for day in recovered["days"]] == ["closed"] * 5
    assert recovered["bank_agrees"]
