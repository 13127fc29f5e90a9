"""A bank that nobody here wrote, running as a process of its own for one test, and the levers to move it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pandas as pd
from settlement import wiring
from settlement.adapters.bank.channels.http import HttpBank
from settlement.domain import frames
from settlement.domain.bank.messages import PaymentFile

ACCOUNT = "KR23MOCK0000000099"
OPENING = 1_000_000


@dataclass(frozen=True)
class MockBank:
    """A running mock-bank that holds our account in won; its clock stands at Monday 2026-02-16, 09:00 in Seoul."""

    url: str

    def ask(self, method: str, path: str, **request: Any) -> Any:
        answer = httpx.request(method, self.url + path, trust_env=False, timeout=30, **request)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def behave(self, behaviour: str, **parameters: Any) -> None:
        self.ask("PATCH", "/_mock/accounts/OURS", json={"behaviour": behaviour, "parameters": parameters})

    def hold(self, name: str, iban: str, behaviour: str) -> None:
        account = {"id": name, "iban": iban, "name": name, "currency": "KRW", "behaviour": behaviour}
        self.ask("POST", "/_mock/accounts", json=account)

    def credit(self, amount: int, **fields: Any) -> None:
        self.ask("POST", "/_mock/credits", json={"account": "OURS", "amount": amount, **fields})

    def advance(self, days: int) -> None:
        self.ask("POST", f"/_mock/advance?days={days}")

    def waiting(self) -> list[str]:
        return [message["type"] for message in self.ask("GET", "/_mock/mailbox?leave")]

    def payments(self) -> list[dict[str, Any]]:
        payments: list[dict[str, Any]] = self.ask("GET", "/_mock/payments")
        return payments


def payment(end_to_end_id: str = "S260216-1-I1-KRW-1-1", amount: int = 43_790, **fields: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "end_to_end_id": end_to_end_id,
        "amount": amount,
        "payee_name": "김하늘",
        "payee_account": "110-123-456789",
        "payee_bank": "088",
        "remittance": "투자 수익 2026-02-16",
    }
    return said | fields


def payment_file(*payments: dict[str, Any], file_id: str = "F260216-1-KRW-1", **fields: Any) -> PaymentFile:
    said: dict[str, Any] = {
        "file_id": file_id,
        "created_at": dt.datetime(2026, 2, 16, 21, 5, tzinfo=dt.UTC),
        "execution_date": dt.date(2026, 2, 16),
        "debtor_name": "서울렌딩",
        "debtor_account": ACCOUNT,
        "debtor_agent": "MOCKKRSE",
        "currency": "KRW",
        "payments": columns_of(payments or (payment(),)),
    }
    return PaymentFile(**(said | fields))


def columns_of(payments: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return payments as a frame `PAYMENTS`, unchecked: the writer must refuse what is wrong with them."""
    return pd.DataFrame(
        {
            column.name: pd.Series([payment[column.name] for payment in payments], dtype=column.kind.value)
            for column in frames.PAYMENTS.columns
        }
    )


def http_bank(url: str, **more: Any) -> HttpBank:
    """Return the channel to a bank that has the reference counterparty's paths."""
    return HttpBank(url, submit_path=wiring.REFERENCE_SUBMIT_PATH, collect_path=wiring.REFERENCE_COLLECT_PATH, **more)
