"""The process that owns the services of a home, for as long as somebody holds a connection to it.

Steps: take the home's lock, or give way to the keeper that has it; start the services; tell everybody who connects
where they are; when the last connection closes, or a service dies, stop everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from settlement_lab.servers import bank, embedded, ports, services, tether

NOBODY_CAME_SECONDS = 30.0
LOOK_SECONDS = 0.5


def main() -> int:
    """Keep the services of the home named on the command line; 0 when everybody has gone or another keeper serves."""
    home, clock = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (home / "services.lock").open("w") as lock:
        try:
            if not _take(lock.fileno(), home):
                return 0
            with _services(home, clock) as (endpoints, processes), _listening(home, endpoints) as listener:
                return _keep(listener, endpoints, processes)
        except RuntimeError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            return 1


def _take(lock: int, home: Path) -> bool:
    """Take the home's lock; while its holder is ending, wait, and if it answers, give way."""
    deadline = time.monotonic() + services.START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        joined = services.try_to_join(home)
        if joined is not None:
            joined[0].close()
            return False
        time.sleep(0.1)
    raise RuntimeError(f"Another keeper of [{home}] neither answers nor ends: see who holds [{home / 'services.lock'}]")


@contextmanager
def _services(home: Path, clock: str) -> Iterator[tuple[services.Endpoints, dict[str, subprocess.Popen[bytes]]]]:
    """Run the three services; they are stopped in the reverse order."""
    bank_log, slack_log = home / "log" / "bank.log", home / "log" / "slack.log"
    with ExitStack() as stack:
        bank_process = bank.start(home / "bank", clock=clock, log=bank_log, port=ports.again(home, "bank"))
        stack.callback(_stop, bank_process)
        slack_process = _start_slack(home, log=slack_log)
        stack.callback(_stop, slack_process)
        cluster = embedded.start(home)  # meanwhile the others get ready
        stack.callback(cluster.stop)
        the_bank = bank.Bank(url=bank.listening_url(bank_process, bank_log), folder=home / "bank")
        slack_url = bank.listening_url(slack_process, slack_log)
        for name, url in (("bank", the_bank.url), ("slack", slack_url)):
            ports.remember(home, name, urlsplit(url).port or 0)
        bank.open_for_business(the_bank)
        endpoints = services.Endpoints(home=home, postgres=cluster.server, bank=the_bank, slack_url=slack_url)
        yield endpoints, {"postgres": cluster.process, "bank": bank_process, "slack": slack_process}


def _start_slack(home: Path, *, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "settlement_lab.slack.sink",
                "--folder",
                str(home / "slack"),
                "--port",
                str(ports.again(home, "slack")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=tether.die_with_parent(signal.SIGTERM),
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


@contextmanager
def _listening(home: Path, endpoints: services.Endpoints) -> Iterator[socket.socket]:
    """Listen on the keeper's socket, and say in a file where the services are."""
    path, note = services.keeper_socket(home), home / "endpoints.json"
    path.unlink(missing_ok=True)  # we hold the lock: what lies there is a dead keeper's
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        note.write_text(endpoints.to_json() + "\n", encoding="utf-8")
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
            note.unlink(missing_ok=True)


def _keep(listener: socket.socket, endpoints: services.Endpoints, processes: dict[str, subprocess.Popen[bytes]]) -> int:
    """Answer whoever connects until the last one has gone; 1 if a service died before."""
    line = f"{endpoints.to_json()}\n".encode()
    gone_at = time.monotonic() + NOBODY_CAME_SECONDS
    users = 0
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while users or time.monotonic() < gone_at:
            for key, _ in selector.select(LOOK_SECONDS):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is listener:
                    user, _ = listener.accept()
                    with contextlib.suppress(OSError):
                        user.sendall(line)
                    selector.register(user, selectors.EVENT_READ)
                    users += 1
                elif not _still_there(connection):
                    selector.unregister(connection)
                    connection.close()
                    users, gone_at = users - 1, 0
            for name, process in processes.items():
                if process.poll() is not None:
                    print(f"[{name}] ended with status [{process.returncode}], so everything is stopped", flush=True)
                    return 1
    return 0


def _still_there(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(4096))
    except OSError:
        return False


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
