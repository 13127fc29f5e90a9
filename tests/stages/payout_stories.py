"""What stories about payouts are told with: the worked day, a bank behind a bad network, and the bank's own words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from settlement.domain.bank.messages import Message
from settlement.ports.services import Services
from settlement.stages import take_in
from settlement_lab.rehearse.faults import FaultProxy
from settlement_lab.servers import bank as demo_bank

from .conftest import DAYS, Platform

DAY = DAYS / "2026-02-16"
ON, MORNING = "2026-02-16", "2026-02-17T06:00+09:00"
NEXT, NEXT_MORNING = "2026-02-19", "2026-02-20T06:00+09:00"
OWED = [("A", 43790), ("B", 26736), ("C", 17524)]
AT_BANK = [("김하나", 43790), ("이세찬", 17524), ("주식회사 두리", 26736)]


def worked_day(platform: Platform) -> None:
    """The contract's worked day, as the source and the bank see it: A is owed 43 790, B 26 736, C 17 524."""
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))
    platform.bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 16), payer="홍길동")


def settle(platform: Platform, **request: Any) -> dict[str, Any]:
    return platform.settle(ON, at=MORNING, **request)


def settle_next(platform: Platform, *, run_id: str = "run-next", **request: Any) -> dict[str, Any]:
    return platform.settle(NEXT, at=NEXT_MORNING, run_id=run_id, **request)


def states(platform: Platform) -> list[tuple[str, int, int, str]]:
    """Every payout as (payee, amount, attempt, state), in the order of day, payee and chunk."""
    return platform.rows(
        "select payee_id, amount, attempt, state from ledger.payouts order by settlement_date, payee_id, chunk, attempt"
    )


def owed(platform: Platform) -> list[tuple[str, int]]:
    """What the books say that investors are still owed."""
    return platform.rows(
        "select substr(account, 18), -amount from reporting.balances where account like 'investor_payable:%' order by 1"
    )


def balance(platform: Platform, account: str) -> int:
    found = platform.rows("select amount from reporting.balances where account = :a", a=account)
    return found[0][0] if found else 0


def booked_at_bank(platform: Platform) -> list[tuple[str, int]]:
    """Every payment that the bank itself has accepted, as (creditor, amount)."""
    return sorted((p["creditor_name"], p["amount"]) for p in platform.bank.payments() if p["status"] == "accepted")


def use_policy(platform: Platform, tmp_path: Path, **changes: str) -> None:
    """Use the worked day's policy with other lines: `minimum="minimum = 5"` replaces the line of that key."""
    lines = []
    for line in (DAY / "policy.toml").read_text(encoding="utf-8").splitlines():
        key = line.split("=")[0].strip()
        lines.append(changes.pop(key.replace(".", "_"), line) if "=" in line else line)
    path = tmp_path / "policy.toml"
    path.write_text("\n".join([*lines, *changes.values()]) + "\n", encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(path))


@contextmanager
def misbehaving(platform: Platform, *faults: str, path: str = "/payments", **options: Any) -> Iterator[FaultProxy]:
    """Put a proxy before the bank whose next requests on `path` meet these faults, one after the other."""
    proxy = FaultProxy(platform.bank.url, **options)
    left = list(faults)
    proxy.plan = lambda _method, asked: left.pop(0) if left and asked.startswith(path) else None
    before = os.environ["AIRFLOW_CONN_SETTLEMENT_BANK"]
    connection = json.loads(before)
    host, port = proxy.url.removeprefix("http://").split(":")
    connection |= {"host": host, "port": int(port), "extra": connection["extra"] | {"answer_seconds": 1}}
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps(connection))
    try:
        yield proxy
        assert left == [], f"faults that nothing met: {left}"
    finally:
        proxy.close()
        platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", before)


def over_folders(
    platform: Platform, mock_bank: Callable[..., demo_bank.Bank], tmp_path: Path, **extra: Any
) -> tuple[Path, Path]:
    """Let the bank be one behind a pair of folders, and return them: it looks into the first when it is told to."""
    drop, pickup = tmp_path / "drop", tmp_path / "pickup"
    drop.mkdir()
    pickup.mkdir()
    folders = ("--drop-dir", str(drop), "--pickup-dir", str(pickup))
    platform.bank = mock_bank(
        clock="2026-02-16T06:00", arguments=(*folders, "--drop-settle-ms", "0", "--drop-interval-ms", "60000")
    )
    httpx.put(f"{platform.bank.url}/_mock/holidays", json=["2026-02-17", "2026-02-18"]).raise_for_status()
    named = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": "KRW",
        "drop": str(drop),
        "pickup": pickup.as_uri(),
    }
    connection = {"conn_type": "http", "extra": named | extra}
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps(connection))
    return drop, pickup


def hear(services: Services, platform: Platform, content: str, *, kind: str, at: str) -> None:
    """Let the bank say something that mock-bank never says."""
    message = Message.of(content.encode(), kind=kind)
    now = platform.at(at)
    with services.ledger.books() as books:
        books.bank_lines.keep_message(message, direction="in", now=now)
    take_in.apply_new(services, now=now)


def status_report(
    message_id: str,
    file_id: str,
    payments: Mapping[str, tuple[str, str | None]] | None = None,
    *,
    group: str | None = None,
    reason: str | None = None,
) -> str:
    """A pain.002: `payments` by end-to-end id as (status, reason)."""

    def because(code: str | None) -> str:
        return f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>" if code else ""

    each = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{e2e}</OrgnlEndToEndId><TxSts>{status}</TxSts>{because(code)}</TxInfAndSts>"
        for e2e, (status, code) in (payments or {}).items()
    )
    batch = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{file_id}</OrgnlPmtInfId>{each}</OrgnlPmtInfAndSts>" if each else ""
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>2026-02-17T07:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{file_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
        + (f"<GrpSts>{group}</GrpSts>" if group else "")
        + because(reason)
        + f"</OrgnlGrpInfAndSts>{batch}</CstmrPmtStsRpt></Document>"
    )


def returned(end_to_end_id: str, amount: int, *, reason: str = "MS03") -> str:
    """A pacs.004 of one payment."""
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.004.001.09"><PmtRtr>'
        "<GrpHdr><MsgId>RET-1</MsgId><CreDtTm>2026-02-19T09:00:00</CreDtTm><NbOfTxs>1</NbOfTxs></GrpHdr>"
        f"<TxInf><RtrId>RTR-1</RtrId><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>"
        f'<RtrdIntrBkSttlmAmt Ccy="KRW">{amount}</RtrdIntrBkSttlmAmt>'
        f"<RtrRsnInf><Rsn><Cd>{reason}</Cd></Rsn></RtrRsnInf></TxInf></PmtRtr></Document>"
    )


def ids(platform: Platform) -> dict[str, str]:
    """The end-to-end id of each investor's newest payout."""
    return dict(
        platform.rows("select payee_id, end_to_end_id from ledger.payouts order by prepared_at, attempt, chunk")
    )


def file_of(platform: Platform) -> str:
    return str(platform.rows("select file_id from ledger.payout_files order by created_at desc, file_id limit 1")[0][0])
