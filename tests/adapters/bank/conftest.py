"""Banks that nobody here wrote, each running as a process of its own for one test."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from .mock_bank import ACCOUNT, OPENING, MockBank


@pytest.fixture
def start_bank(tmp_path: Path) -> Iterator[Callable[..., MockBank]]:
    """Start banks, and end them all when the test is over, however it ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, auth: tuple[str, str] | None = None, balance: int = OPENING) -> MockBank:
        log = tmp_path / f"bank-{len(started)}.log"
        command = [sys.executable, "-m", "mockbank", "--port", "0", "--timezone", "Asia/Seoul"]
        command += ["--clock", "2026-02-16T09:00", *(("--auth", ":".join(auth)) if auth else ()), *arguments]
        with log.open("wb") as output:
            started.append(subprocess.Popen(command, stdout=output, stderr=output))
        bank = MockBank(_address(log, started[-1]))
        for seeded in ("ACME", "GLOBEX", "EURODIS"):  # other customers' statements would come with ours
            httpx.patch(f"{bank.url}/_mock/accounts/{seeded}", json={"closed": True}, auth=auth, trust_env=False)
        account = {"id": "OURS", "iban": ACCOUNT, "name": "투자금 예치계좌", "currency": "KRW", "balance": balance}
        answer = httpx.post(f"{bank.url}/_mock/accounts", json=account, auth=auth, trust_env=False)
        assert answer.status_code == 201, answer.text
        return bank

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=10)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        said = log.read_text()
        if "listening on " in said:
            return said.split("listening on ")[1].split("/  (")[0]
        time.sleep(0.02)
    raise AssertionError(f"mock-bank did not start: {log.read_text()}")


@pytest.fixture
def bank(start_bank: Callable[..., MockBank]) -> MockBank:
    return start_bank()
