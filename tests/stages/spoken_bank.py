"""A bank of words: whatever a bank may say is written by hand, line by line, and heard as a message like any other.

Payment files go into a folder that nobody reads; what became of them is told by the story.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pytest
from settlement import config
from settlement.domain.bank.messages import Message
from settlement.stages import close, reconcile

from .conftest import DAYS, Platform
from .payout_stories import status_report

ACCOUNT = "KR23MOCK0000000099"
NUMBERS = count(1)
SEOUL = ZoneInfo("Asia/Seoul")


@dataclass(frozen=True)
class Entry:
    """One entry of a statement: a credit of the bank is positive. `file` is the payment file that it books as one."""

    amount: int
    file: str = ""
    e2e: str = ""
    ref: str = ""
    text: str = ""
    reason: str = ""
    is_reversal: bool = False


@dataclass
class Spoken(Platform):
    """A platform whose bank says what the story tells it to say. `closing` is where its newest statement closed."""

    write: Callable[..., str]
    closing: int = 0

    def at(self, instant: str) -> datetime:
        self.monkeypatch.setenv("SETTLEMENT_NOW", instant)
        return datetime.fromisoformat(instant)

    def say(self, content: str, *, kind: str, now: datetime | None = None) -> None:
        """Let a message lie where the next hearing finds it."""
        with self.services() as services, services.ledger.books() as books:
            message = Message.of(content.encode(), kind=kind, name=f"said-{next(NUMBERS)}")
            books.bank_lines.keep_message(message, direction="in", now=now or config.now())

    def statement(self, on: str, *entries: Entry, opening: int | None = None, name: str | None = None) -> None:
        """Say a day's statement, in the format of this bank, which opens where the one before it closed.

        An export is made when its day is over: one of its own day would be a part of it.
        """
        opening = self.closing if opening is None else opening
        self.closing = opening + sum(entry.amount for entry in entries)
        name = name or f"S-{on}-{next(NUMBERS)}"
        said = self.write(on, opening, self.closing, entries, name=name)
        over = datetime.combine(date.fromisoformat(on) + timedelta(days=1), time(4), SEOUL)
        now = max(config.now(), over) if self.write is csv else None
        self.say(said, kind="camt.053" if said.startswith("<") else "file", now=now)

    def accept(self) -> None:
        """Say that the newest payment file is accepted."""
        (file_id,) = self.rows("select file_id from ledger.payout_files order by created_at desc limit 1")[0]
        self.say(status_report(f"P-{next(NUMBERS)}", file_id, group="ACCP"), kind="pain.002")

    def hear(self, at: str) -> dict[str, Any]:
        """Take in what was said, match and prove, as every quarter of an hour."""
        now = self.at(at)
        with self.services() as services:
            return reconcile.take_in_everything(services, now=now)

    def verify(self) -> list[dict[str, str]]:
        with self.services() as services:
            return close.verify(services)

    def payouts(self) -> list[tuple[Any, ...]]:
        """Every payout as (investor, amount, attempt, state)."""
        return self.rows(
            "select payee_id, amount, attempt, state from ledger.payouts order by settlement_date, payee_id, attempt"
        )

    def breaks(self) -> list[tuple[Any, ...]]:
        """Every break that stands, as (cause, kind of subject, amount), but that of the over-payment."""
        return self.rows(
            "select cause, subject_kind, amount from ledger.breaks where state in ('open', 'assigned')"
            " and cause <> 'overpaid' order by 1, 2, 3"
        )

    def break_of(self, cause: str, kind: str) -> int:
        ((number,),) = self.rows(
            "select break_id from ledger.breaks where cause = :cause and subject_kind = :kind"
            " and state in ('open', 'assigned')",
            cause=cause,
            kind=kind,
        )
        return int(number)

    def balances(self) -> dict[str, int]:
        return dict(self.rows("select account, amount from reporting.balances where amount <> 0 order by 1"))

    def e2e(self, investor: str, attempt: int = 1) -> str:
        ((found,),) = self.rows(
            "select end_to_end_id from ledger.payouts where payee_id = :i and attempt = :n", i=investor, n=attempt
        )
        return str(found)

    def day(self, on: str) -> str:
        ((state,),) = self.rows("select state from ledger.days where settlement_date = :on", on=date.fromisoformat(on))
        return str(state)


RECEIPT = Entry(95000, ref="REF-R1")


def camt053(on: str, opening: int, closing: int, entries: Sequence[Entry], *, name: str) -> str:
    """A camt.053 of one day."""

    def balance(code: str, amount: int) -> str:
        return f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount)}<Dt><Dt>{on}</Dt></Dt></Bal>"

    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M-{name}</MsgId><CreDtTm>{on}T23:59:59</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{name}</Id><Acct><Id><IBAN>{ACCOUNT}</IBAN></Id><Ccy>KRW</Ccy></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{''.join(_entry(on, entry) for entry in entries)}"
        "</Stmt></BkToCstmrStmt></Document>"
    )


def _amount(amount: int) -> str:
    return f'<Amt Ccy="KRW">{abs(amount)}</Amt><CdtDbtInd>{"CRDT" if amount >= 0 else "DBIT"}</CdtDbtInd>'


def _entry(on: str, entry: Entry) -> str:
    refs = f"<Refs><EndToEndId>{escape(entry.e2e)}</EndToEndId></Refs>" if entry.e2e else ""
    told = f"<RmtInf><Ustrd>{escape(entry.text)}</Ustrd></RmtInf>" if entry.text else ""
    if entry.ref:
        told = f"<RmtInf><Strd><CdtrRefInf><Ref>{escape(entry.ref)}</Ref></CdtrRefInf></Strd></RmtInf>"
    why = f"<RtrInf><Rsn><Cd>{entry.reason}</Cd></Rsn></RtrInf>" if entry.reason else ""
    return (
        f"<Ntry>{_amount(entry.amount)}{'<RvslInd>true</RvslInd>' if entry.is_reversal else ''}"
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt>"
        f"<NtryDtls>{f'<Btch><PmtInfId>{entry.file}</PmtInfId></Btch>' if entry.file else ''}"
        f"<TxDtls>{refs}{told}{why}</TxDtls></NtryDtls></Ntry>"
    )


def mt940(on: str, opening: int, closing: int, entries: Sequence[Entry], *, name: str) -> str:
    """An MT940 of one day, with the words between slashes in which its `:86:` tell references."""
    day = on[2:].replace("-", "")
    lines = [f":20:{name[-16:]}", f":25:{ACCOUNT}", ":28C:1", f":60F:{_signed(opening, day)}"]
    for entry in entries:
        mark = ("C" if entry.amount >= 0 else "D") if not entry.is_reversal else ("RD" if entry.amount >= 0 else "RC")
        lines.append(f":61:{day}{day[2:]}{mark}{abs(entry.amount)},{'NRTI' if entry.reason else 'NTRF'}NONREF")
        told = {"RTRN": entry.reason, "PREF": entry.file, "EREF": entry.e2e or entry.ref, "REMI": entry.text}
        lines.append(":86:" + "".join(f"/{word}/{said}" for word, said in told.items() if said))
    return "\n".join([*lines, f":62F:{_signed(closing, day)}", "-", ""])


def _signed(balance: int, day: str) -> str:
    return f"{'C' if balance >= 0 else 'D'}{day}KRW{abs(balance)},"


def csv(on: str, opening: int, closing: int, entries: Sequence[Entry], *, name: str) -> str:
    """A Korean bank's export of one day, which tells every reference in its text; one of nothing has no rows.

    What corrects a booking stands with a minus in the column of that booking.
    """
    lines = [f"계좌번호,{ACCOUNT}", "거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호"]
    for number, entry in enumerate(entries, start=1):
        opening += entry.amount
        is_out = (entry.amount < 0) != entry.is_reversal
        out, came = (-entry.amount, 0) if is_out else (0, entry.amount)
        told = " ".join(said for said in (entry.text, entry.file, entry.e2e, entry.ref) if said)
        lines.append(f"{on} 10:00:{number:02d},{'이체' * bool(told)},{out},{came},{opening},{told},{name}-{number}")
    assert opening == closing
    return "\n".join([*lines, ""])


CAMT = pytest.param(camt053, id="camt")
MT940 = pytest.param(mt940, id="mt940", marks=pytest.mark.slow)
CSV = pytest.param(csv, id="csv", marks=pytest.mark.slow)

in_every_format = pytest.mark.parametrize("spoken", [CAMT, MT940, CSV], indirect=True)
"""Tells a story at a bank of each format: of camt with every change, of the others among the slow tests (5 minutes)."""

where_a_day_may_be_empty = pytest.mark.parametrize("spoken", [CAMT, MT940], indirect=True)
"""Tells a story with days on which nothing is booked: an export to CSV without rows proves no balance, and is none."""


@pytest.fixture
def spoken(
    lending_core: Any,
    settlement_db_url: str,
    slack: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Spoken:
    for name in ("drop", "pickup"):
        (tmp_path / name).mkdir()
    extra = {
        "debtor_account": ACCOUNT,
        "debtor_name": "Lender",
        "debtor_agent": "MOCKKRSE",
        "currency": "KRW",
        "statement_columns": "korean_export",
        "drop": str(tmp_path / "drop"),
        "pickup": str(tmp_path / "pickup"),
    }
    for name, value in {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": lending_core.url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": settlement_db_url}},
        "SETTLEMENT_BANK": {"conn_type": "http", "extra": extra},
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-16T12:00+09:00")
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(DAYS / "2026-02-16" / "policy.toml"))
    return Spoken(
        core_url=lending_core.owner_url,
        ledger_url=settlement_db_url,
        bank=None,  # type: ignore[arg-type]  # this bank is words
        monkeypatch=monkeypatch,
        write=getattr(request, "param", camt053),
    )
