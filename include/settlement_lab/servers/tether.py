"""Processes that do not outlive the one who started them.

Whatever ends the owner — the end of its work, Ctrl-C, a crash, SIGKILL — its processes end too. Two means, because
neither is enough alone:

1. A *tether* is a process of ours between the owner and the command. It holds one end of a pipe; when the other end
   closes, for whatever reason, it stops the command's whole process group, politely first. This works everywhere.
2. On Linux the kernel itself signals a direct child when its parent dies (`PR_SET_PDEATHSIG`). This covers the death
   of the tether, and what has no tether.

Known limit: away from Linux, a tether that is itself killed with SIGKILL leaves its command behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

PR_SET_PDEATHSIG = 1
PATIENCE_SECONDS = 20.0


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a command that ends when this process does; `stop` ends it earlier."""
    return subprocess.Popen(
        [sys.executable, "-m", "settlement_lab.servers.tether", str(int(stop_signal)), *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=env,
        cwd=cwd,
        start_new_session=True,  # a Ctrl-C at the terminal reaches the owner alone, who stops things in order
    )


def stop(tethered: subprocess.Popen[bytes]) -> int:
    """Let go of the tether and wait until the command has ended; return its exit status."""
    if tethered.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            tethered.stdin.close()
    return tethered.wait()


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` that asks the kernel to signal the child when its parent dies.

    The child must be started from a thread that lives as long as the process: the kernel watches the thread.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork, where nothing may be imported
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before we asked
            os.kill(os.getpid(), death_signal)

    return ask_the_kernel


def _hold(stop_signal: signal.Signals, command: Sequence[str]) -> int:
    """Run the command in this process group until it ends or the owner lets go; return its exit status."""
    signal.signal(signal.SIGTERM, _end_quietly)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=die_with_parent(signal.SIGTERM)
    )

    def watch_the_owner() -> None:
        while os.read(0, 4096):
            pass
        _end_group(child, stop_signal)

    threading.Thread(target=watch_the_owner, daemon=True).start()
    try:
        status = child.wait()
    finally:
        _end_group(child, stop_signal)
    _end_group_at_once(child.pid)  # what the command itself left behind
    return status if status >= 0 else 128 - status


def _end_quietly(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _end_group(child: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Signal the command, and kill its group if it has not ended in good time."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(stop_signal)
        try:
            child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            _end_group_at_once(child.pid)


def _end_group_at_once(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_hold(signal.Signals(int(sys.argv[1])), sys.argv[2:]))
