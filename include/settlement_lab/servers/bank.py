"""The bank of this machine: `mock-bank`, a counterparty that nobody here wrote, and the levers that only a demo has.

The pipeline talks to it as to any bank and knows none of the control paths used here. A bank on a folder keeps its
accounts and messages in it, and the hour its clock stood at: a bank that was closed for the night opens where it was.

Known limits: its clock ticks by itself and cannot be set back; only a direct debit can be taken back later.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from signal import Signals
from typing import Any
from xml.sax.saxutils import escape

import httpx
from settlement.domain.days import BankCalendar

from settlement_lab.servers import tether

TIMEZONE = "Asia/Seoul"
CURRENCY = "KRW"
CALENDAR = BankCalendar("KR", ("public", "bank"))
DEBTOR_ACCOUNT = "KR23MOCK0000000099"
DEBTOR_NAME = "소울렌딩 투자금 예치계좌"
DEBTOR_AGENT = "MOCKKRSE"
OPENING_BALANCE = 50_000_000
START_SECONDS = 30.0


DIRECT_DEBIT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.008.001.08"><CstmrDrctDbtInitn>
<GrpHdr><MsgId>{reference}</MsgId><CreDtTm>{created}</CreDtTm><NbOfTxs>1</NbOfTxs>
<InitgPty><Nm>{creditor}</Nm></InitgPty></GrpHdr>
<PmtInf><PmtInfId>{reference}</PmtInfId><PmtMtd>DD</PmtMtd><ReqdColltnDt>{on}</ReqdColltnDt>
<Cdtr><Nm>{creditor}</Nm></Cdtr><CdtrAcct><Id><IBAN>{account}</IBAN></Id></CdtrAcct>
<CdtrAgt><FinInstnId><BICFI>{agent}</BICFI></FinInstnId></CdtrAgt>
<DrctDbtTxInf><PmtId><EndToEndId>{reference}</EndToEndId></PmtId><InstdAmt Ccy="{currency}">{amount}</InstdAmt>
<DrctDbtTx><MndtRltdInf><MndtId>M-{reference}</MndtId><DtOfSgntr>2026-01-02</DtOfSgntr></MndtRltdInf></DrctDbtTx>
<DbtrAgt><FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId></DbtrAgt>
<Dbtr><Nm>{payer}</Nm></Dbtr><DbtrAcct><Id><Othr><Id>110-20-300400</Id></Othr></Id></DbtrAcct>
</DrctDbtTxInf></PmtInf></CstmrDrctDbtInitn></Document>
"""


class CannotStart(RuntimeError):
    """The bank did not start; the message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """A running bank. `folder` is where it keeps the hour; a bank without one forgets everything at its end."""

    url: str
    folder: Path | None = None

    def now(self) -> datetime:
        """Return the bank's own time."""
        return datetime.fromisoformat(self._ask("GET", "/_mock/state")["clock"]["now"])

    def advance_to(self, day: date) -> None:
        """Let the days pass until it is `day`, at the same hour; each business day that ends gets its statement."""
        days = (day - self.now().date()).days
        if days < 0:
            raise ValueError(f"The bank is at [{self.now()}], [{day}] is past: its clock does not go back")
        if days:
            self._ask("POST", "/_mock/advance", params={"days": days})
        self._remember_the_hour()

    def open_account(
        self, name: str, iban: str, *, owner: str, balance: int = 0, behaviour: str = "accept", closed: bool = False
    ) -> None:
        """Open an account in won, unless it is there already."""
        if any(account["id"] == name for account in self._ask("GET", "/_mock/accounts")):
            return
        account: dict[str, object] = {
            "id": name,
            "iban": iban,
            "name": owner,
            "bic": DEBTOR_AGENT,
            "currency": CURRENCY,
        }
        account |= {"balance": balance, "behaviour": behaviour, "closed": closed}
        self._ask("POST", "/_mock/accounts", json=account)

    def change_account(self, name: str, **fields: object) -> None:
        """Change how the bank treats an account: its `behaviour`, `parameters`, whether it is `closed`."""
        self._ask("PATCH", f"/_mock/accounts/{name}", json=fields)

    def balance(self, name: str) -> int:
        """Return what stands on an account."""
        return next(int(held["balance"]) for held in self._ask("GET", "/_mock/accounts") if held["id"] == name)

    def receive(self, *, reference: str, amount: int, on: date, payer: str) -> None:
        """Let money arrive for the platform; it is booked on `on` or the next business day, and once only."""
        if reference in {credit["reference"] for credit in self.credits()}:
            return
        credit = {"account": DEBTOR_ACCOUNT, "amount": amount, "value_date": on.isoformat(), "reference": reference}
        self._ask("POST", "/_mock/credits", json=credit | {"debtor": {"name": payer}, "note": reference})

    def collect(self, *, reference: str, amount: int, on: date, payer: str) -> None:
        """Hand in a direct debit to be collected on `on`, at the earliest the next business day; once only."""
        if any(collection["end_to_end_id"] == reference for collection in self._ask("GET", "/_mock/collections")):
            return
        document = DIRECT_DEBIT.format(
            reference=escape(reference),
            amount=amount,
            on=on,
            payer=escape(payer),
            created=self.now().isoformat(),
            creditor=escape(DEBTOR_NAME),
            account=DEBTOR_ACCOUNT,
            agent=DEBTOR_AGENT,
            currency=CURRENCY,
        )
        answer = self._ask("POST", "/payments", content=document.encode(), headers={"Content-Type": "application/xml"})
        if answer["status"] != "ACCP":
            raise RuntimeError(f"The bank does not take the direct debit [{reference}]: {answer['findings']}")

    def refuse_collection(self, *, reference: str, reason: str = "AM04") -> None:
        """Let the payer's bank refuse a direct debit that was collected: the money goes back; once only."""
        (collection,) = self._ask("GET", f"/_mock/collections/{reference}?all")
        if not collection["return_due"]:
            self._ask("POST", f"/_mock/collections/{reference}/refuse", json={"reason": reason})

    def credits(self) -> list[dict[str, Any]]:
        """Return every credit that the bank knows of, newest first."""
        return list(self._ask("GET", "/_mock/credits"))

    def payments(self) -> list[dict[str, Any]]:
        """Return the bank's own record of the payments it was sent."""
        return list(self._ask("GET", "/_mock/payments"))

    def statements(self) -> list[dict[str, Any]]:
        """Return the statements that the bank issued for the platform's account, oldest first."""
        return sorted(self._ask("GET", "/_mock/accounts/PLATFORM/statements"), key=lambda row: row["day"])

    def keep_holidays(self, years: range) -> None:
        """Teach the bank the holidays of our calendar, unless it knows some already; weekends it knows by itself."""
        if self._ask("GET", "/_mock/holidays"):
            return
        closed = [day for year in years for day in _weekdays_closed(year)]
        self._ask("PUT", "/_mock/holidays", json=[day.isoformat() for day in closed])

    def _remember_the_hour(self) -> None:
        if self.folder is not None:
            (self.folder / "clock").write_text(self.now().strftime("%Y-%m-%dT%H:%M:%S"))

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        answer = _client().request(method, self.url + path, **request)
        if answer.is_error:
            raise RuntimeError(f"The bank refused {method} {path}: {answer.text}")
        return answer.json()


@contextmanager
def running(folder: Path, *, clock: str, arguments: tuple[str, ...] = ()) -> Iterator[Bank]:
    """Run a bank that keeps its books in `folder` and opens at `clock`, or at the hour it was left at."""
    log = folder / "bank.log"
    process = start(folder, clock=clock, log=log, arguments=arguments)
    try:
        bank = Bank(url=listening_url(process, log), folder=folder)
        open_for_business(bank)
        yield bank
    finally:
        process.terminate()
        process.wait()


def start(
    folder: Path, *, clock: str, log: Path, port: int = 0, arguments: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start the bank's process, which says in the log where it listens; it ends with this process at the latest."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = folder / "clock"
    command = [sys.executable, "-m", "mockbank", "--port", str(port), "--timezone", TIMEZONE]
    command += ["--db", str(folder / "bank.sqlite"), "--clock", kept.read_text() if kept.exists() else clock]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=tether.die_with_parent(Signals.SIGTERM),
        )


def listening_url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the URL that a starting server says it listens on."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        if "listening on http" in said and "\n" in said:
            return said.partition("listening on ")[2].split()[0].rstrip("/")
        if process.poll() is not None:
            raise CannotStart(f"The server of [{log}] ended at once: {said.strip()}")
        time.sleep(0.02)
    process.kill()
    raise CannotStart(f"[{log}] does not say where the server listens after {START_SECONDS:.0f} s")


def open_for_business(bank: Bank) -> None:
    """Give the bank our calendar and the platform's account."""
    year = bank.now().year
    bank.keep_holidays(range(year - 1, year + 3))
    bank.open_account("PLATFORM", DEBTOR_ACCOUNT, owner=DEBTOR_NAME, balance=OPENING_BALANCE)


@cache
def _client() -> httpx.Client:
    """Return the one client of this process: no proxy, and no certificates to read for a server on this machine."""
    return httpx.Client(timeout=60, trust_env=False, verify=False)  # noqa: S501


def _weekdays_closed(year: int) -> list[date]:
    days = (
        date.fromordinal(number) for number in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())
    )
    return [day for day in days if day.weekday() < 5 and not CALENDAR.is_business_day(day)]
