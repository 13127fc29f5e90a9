"""From balances to payouts and holds: chunks, places, attempts, reasons, ids; numbers by hand."""

from datetime import date
from typing import Any

import pytest
from settlement.domain import frames
from settlement.domain import policy as policies
from settlement.domain.payments.payouts import end_to_end_id, file_id, from_balances

POLICY = policies.parse(b'name = "t"\n[payouts.KRW]\nminimum = 10\nmaximum = 100\n[payouts.EUR]\n')
ON = date(2026, 2, 16)


def prepare(*owed: tuple[str, str, int], **changes: Any) -> tuple[list[tuple[Any, ...]], list[tuple[str, int, str]]]:
    """Return payouts as (investor, chunk, attempt, amount) and holds as (investor, amount, reason)."""
    attempt = changes.pop("attempt", 1)
    payees = {investor: ("investor", investor, "김하나", "active", "110-1", "088") for investor, _, _ in owed}
    said: dict[str, Any] = {
        "payees": frames.build(frames.PAYEES, (payees | changes.pop("payees", {})).values()),
        "policy": POLICY,
        "channels": {"KRW"},
        "refused": frames.build(frames.REFUSED_ACCOUNTS, changes.pop("refused", ())),
        "slots": frames.build(frames.SLOTS, changes.pop("slots", ())),
        "settlement_date": ON,
        "revision": 1,
    }
    payables = frames.build(frames.PAYABLES, [("investor", *one, attempt) for one in owed])
    payouts, holds = from_balances(payables, **(said | changes))
    assert sum(payouts["amount"]) + sum(holds["amount"]) == sum(amount for _, _, amount in owed if amount > 0)
    assert payouts["end_to_end_id"].is_unique
    return (
        list(frames.rows(payouts, "payee_id", "chunk", "attempt", "amount")),
        list(frames.rows(holds, "payee_id", "amount", "reason")),
    )


def payee(**changes: Any) -> dict[str, tuple[Any, ...]]:
    said: dict[str, Any] = {"name": "김하나", "status": "active", "account": "110-1", "bank": "088"}
    return {"A": ("investor", "A", *(said | changes).values())}


@pytest.mark.parametrize(
    ("amount", "chunks"),
    [(10, [10]), (99, [99]), (100, [100]), (101, [100, 1]), (200, [100, 100]), (250, [100, 100, 50])],
)
def test_the_maximum_as_often_as_it_fits_and_the_remainder_last(amount: int, chunks: list[int]) -> None:
    payouts, holds = prepare(("A", "KRW", amount))
    assert payouts == [("A", number, 1, chunk) for number, chunk in enumerate(chunks, start=1)]
    assert holds == []


def test_a_balance_of_nineteen_digits_is_cut_at_the_most_that_a_payment_can_say() -> None:
    policy = policies.parse(b'name = "t"\n[payouts.KRW]\nmaximum = 999999999999999999\n')
    payouts, _ = prepare(("A", "KRW", 1_000_000_000_000_000_005), policy=policy)
    assert payouts == [("A", 1, 1, 999_999_999_999_999_999), ("A", 2, 1, 6)]


def test_a_balance_below_the_minimum_is_carried_forward_and_one_at_it_is_paid() -> None:
    assert prepare(("A", "KRW", 9), ("B", "KRW", 10)) == ([("B", 1, 1, 10)], [("A", 9, "below_minimum")])


def test_a_negative_balance_is_neither_paid_nor_held() -> None:
    assert prepare(("A", "KRW", -5)) == ([], [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"payees": payee(status="frozen")}, "frozen"),
        ({"payees": payee(status="frozen", account=None)}, "frozen"),
        ({"payees": payee(account=None)}, "no_account"),
        ({"payees": payee(account="")}, "no_account"),
        ({"payees": payee(account="   ")}, "no_account"),
        ({"payees": payee(account="계좌")}, "no_account"),
        ({"payees": payee(account="1" * 35)}, "no_account"),
        ({"payees": payee(bank="0" * 29)}, "no_account"),
        ({"payees": payee(name="")}, "no_account"),
        ({"payees": payee(name="\x01 \u200b\t")}, "no_account"),
        ({"refused": {("investor", "A", "110-1", "088")}}, "account_refused"),
        ({"channels": {"EUR"}}, "no_channel"),
    ],
)
def test_what_cannot_be_paid_is_held_with_its_reason(change: dict[str, Any], reason: str) -> None:
    assert prepare(("A", "KRW", 50), **change) == ([], [("A", 50, reason)])


def test_a_refused_account_is_held_for_its_investor_alone_and_until_it_changes() -> None:
    refused = {("investor", "A", "110-1", "088")}
    assert prepare(("B", "KRW", 50), refused=refused) == ([("B", 1, 1, 50)], [])
    assert prepare(("A", "KRW", 50), refused=refused, payees=payee(account="110-2")) == ([("A", 1, 1, 50)], [])
    assert prepare(("A", "KRW", 50), refused=refused, payees=payee(bank="004")) == ([("A", 1, 1, 50)], [])


def test_currencies_never_mix() -> None:
    payouts, holds = prepare(("A", "KRW", 50), ("A", "EUR", 70), channels={"KRW"})
    assert payouts == [("A", 1, 1, 50)]
    assert holds == [("A", 70, "no_channel")]


def test_a_second_preparation_takes_the_free_places_first_with_their_next_attempt() -> None:
    slots = [("investor", "A", "KRW", number, attempt, is_free) for number, attempt, is_free in (
        (1, 1, False), (2, 1, True), (3, 2, True)
    )]  # fmt: skip
    assert prepare(("A", "KRW", 320), slots=slots)[0] == [
        ("A", 2, 2, 100),
        ("A", 3, 3, 100),
        ("A", 4, 1, 100),
        ("A", 5, 1, 20),
    ]


def test_what_bounced_on_an_earlier_day_goes_out_as_the_next_attempt() -> None:
    assert prepare(("A", "KRW", 150), attempt=3)[0] == [("A", 1, 3, 100), ("A", 2, 3, 50)]


def test_ids_are_made_from_what_the_payout_is_and_fit_a_bank() -> None:
    one = end_to_end_id("20260216.1.A.KRW.1.1", settlement_date=ON, revision=1)
    assert one == "ST20260216001BT7AWKTB4RRKMIVY"
    assert one == end_to_end_id("20260216.1.A.KRW.1.1", settlement_date=ON, revision=1)
    others = {
        end_to_end_id(f"20260216.{r}.{i}.{c}.{n}.{a}", settlement_date=ON, revision=r)
        for r in (1, 2)
        for i in ("A", "A.KRW", "a" * 200)
        for c in ("KRW", "EUR")
        for n in (1, 11)
        for a in (1, 11)
    }
    assert len(others) == 48
    assert max(map(len, others)) <= 35
    assert file_id([one, "X"], settlement_date=ON) == file_id(["X", one], settlement_date=ON)
    assert len(file_id([one], settlement_date=ON)) <= 35


def test_an_investor_whom_the_source_does_not_know_is_held() -> None:
    payouts, holds = from_balances(
        frames.build(frames.PAYABLES, [("investor", "A", "KRW", 7, 1)]),
        payees=frames.build(frames.PAYEES),
        policy=POLICY,
        channels={"KRW"},
        refused=frames.build(frames.REFUSED_ACCOUNTS),
        slots=frames.build(frames.SLOTS),
        settlement_date=ON,
        revision=1,
    )
    assert payouts.empty
    assert list(frames.rows(holds, *frames.HOLDS.column_names)) == [("investor", "A", "KRW", 7, "no_account")]


def test_a_refund_is_paid_beside_an_investor_of_the_same_id_under_ids_of_its_own() -> None:
    payables = [("borrower", "A", "KRW", 150, 1), ("investor", "A", "KRW", 50, 1), ("borrower", "F2", "KRW", 60, 1)]
    payouts, holds = from_balances(
        frames.build(frames.PAYABLES, payables),
        payees=frames.build(
            frames.PAYEES,
            [
                ("investor", "A", "김하나", "active", "110-1", "088"),
                ("borrower", "A", "홍길동", "active", "110-1", "088"),
                ("borrower", "F2", "임꺽정", "active", "110-9", "088"),
            ],
        ),
        policy=POLICY,
        channels={"KRW"},
        refused=frames.build(frames.REFUSED_ACCOUNTS, [("borrower", "F2", "110-9", "088")]),
        slots=frames.build(frames.SLOTS, [("investor", "A", "KRW", 1, 1, False)]),
        settlement_date=ON,
        revision=1,
    )
    assert list(frames.rows(payouts, "payout_id", "payee_kind", "payee_name", "amount")) == [
        ("refund.20260216.1.A.KRW.1.1", "borrower", "홍길동", 100),
        ("refund.20260216.1.A.KRW.2.1", "borrower", "홍길동", 50),
        ("20260216.1.A.KRW.2.1", "investor", "김하나", 50),
    ]
    assert list(frames.rows(holds, *frames.HOLDS.column_names)) == [
        ("borrower", "F2", "KRW", 60, "account_refused")
    ]  # fmt: skip
