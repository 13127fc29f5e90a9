from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from settlement_lab.servers import tether

WITH_A_CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""
OWNER = """
import sys, time
from settlement_lab.servers import tether
tether.start([sys.executable, "-c", sys.argv[1], sys.argv[2]])
time.sleep(60)
"""
STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text("ready")
time.sleep(60)
"""


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def has_ended(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_letting_go_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    held = tether.start([sys.executable, "-c", WITH_A_CHILD, tmp_path / "child"])
    child = int(wait_for(tmp_path / "child"))
    assert tether.stop(held) == 128 + signal.SIGTERM
    assert has_ended(child)


def test_a_killed_owner_takes_the_command_with_it(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, WITH_A_CHILD, str(tmp_path / "child")])
    child = int(wait_for(tmp_path / "child"))
    owner.kill()
    owner.wait()
    assert has_ended(child)


def test_a_command_that_does_not_heed_the_signal_is_killed(tmp_path: Path) -> None:
    held = tether.start([sys.executable, "-c", STUBBORN, tmp_path / "ready"], stop_signal=signal.SIGKILL)
    wait_for(tmp_path / "ready")
    assert tether.stop(held) == 128 + signal.SIGKILL


def test_the_exit_status_is_the_command_s_own() -> None:
    assert tether.start([sys.executable, "-c", "raise SystemExit(7)"]).wait() == 7
