"""A seeded lender, and an old system that paid what ours would have paid but for what is planted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

AMOUNTS = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")
CLASSES = {"I8": "corporation", "I9": "corporation"}
LOANS = [f"L{number:02}" for number in range(12)]
FEE, TAX, HOLDER, RECORD, THEY_LACK, WE_LACK, MOVED, ROUNDED, STRANGE = LOANS[:9]
"""The loan on which each difference is planted; on the others both systems pay the same."""

Key = tuple[date, str, str]
Paid = dict[Key, list[int]]


def fill(owner_url: str, dates: Sequence[date], *, seed: int) -> None:
    """Write a lender whose loans each pay interest and principal on the first date and on some others."""
    random = Random(seed)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for number in range(10):
        investor = f"I{number}"
        rows["investors"].append({"id": investor, "class": CLASSES.get(investor, "individual")})
    for place, loan in enumerate(LOANS):
        rows["loans"].append({"id": loan})
        holders = [7, 0, 1, 2] if loan == RECORD else random.sample(range(8), 4)
        for note, number in enumerate(holders):
            name = f"{loan}-N{note}"
            rows["notes"].append(
                {"id": name, "loan": loan, "principal": random.randrange(1_000_000, 9_000_000, 10_000)}
            )
            sold = dates[0] if loan == RECORD and note == 0 else None
            rows["holdings"].append({"note": name, "by": f"I{number}", "from": date(2025, 3, 3), "until": sold})
            if sold:
                rows["holdings"].append({"note": name, "by": "I9", "from": sold, "until": None})
        only_first = loan in (THEY_LACK, WE_LACK, RECORD)
        for turn, on in enumerate(dates):
            if turn and (only_first or (turn + place) % 3):
                continue
            due = on - timedelta(days=3) if loan == RECORD else on
            interest, principal = random.randrange(20_000, 90_000), random.randrange(100_000, 900_000)
            for component, amount in (("interest", interest), ("principal", principal)):
                rows["receivables"].append(
                    {"id": f"{loan}-{turn}-{component}", "loan": loan, "no": turn, "component": component, "due": due,
                     "amount": amount}
                )  # fmt: skip
            at = f"{on.isoformat()}T{random.randrange(9, 17):02}:00:00+09:00"
            rows["repayments"].append({"id": f"{loan}-{turn}", "loan": loan, "at": at, "amount": interest + principal})
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for name, statement in TABLES.items():
            connection.execute(sa.text(statement), rows[name])
    engine.dispose()


TABLES = {
    "investors": "insert into core.investors (investor_id, name, tax_class) values (:id, :id, :class)",
    "loans": "insert into core.loans values (:id, 'KRW', '2025-03-03')",
    "notes": "insert into core.notes values (:id, :loan, :principal)",
    "holdings": "insert into core.note_holdings values (:note, :by, :from, :until)",
    "receivables": "insert into core.receivables values (:id, :loan, :no, :component, :due, :amount)",
    "repayments": "insert into core.repayments (repayment_id, loan_id, received_at, amount)"
    " values (:id, :loan, :at, :amount)",
}


def shares(shadow_url: str) -> list[dict[str, Any]]:
    """Return every share of a shadow's books."""
    engine = sa.create_engine(shadow_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = connection.execute(sa.text("select * from ledger.standing_shares order by 1, 2, 3, note_id"))
        rows = [dict(row._mapping) for row in found]
    engine.dispose()
    return rows


def taxes(gross: int, rate_ppm: int) -> tuple[int, int]:
    """Return national and local tax of a share of interest, each cut to tens."""
    national = gross * rate_ppm // 1_000_000 // 10 * 10
    return national, national // 10 // 10 * 10


@dataclass
class Old:
    """The old system: what it paid, and what was planted in it, as (cause, date, loan, investor) and amounts."""

    paid: Paid = field(default_factory=dict)
    planted: dict[tuple[str, Key], list[int]] = field(default_factory=dict)

    def pay(self, key: Key, amounts: Sequence[int]) -> None:
        """Pay more of a loan to an investor on a date."""
        self.paid[key] = [a + b for a, b in zip(self.paid.get(key, [0] * 6), amounts, strict=True)]

    def plant(self, cause: str, key: Key, amounts: Sequence[int]) -> None:
        """Pay so much more, and remember why."""
        self.pay(key, amounts)
        known = self.planted.get((cause, key), [0] * 6)
        self.planted[cause, key] = [a + b for a, b in zip(known, amounts, strict=True)]

    def write(self, path: Path) -> str:
        """Write what it paid as CSV, in an order of its own, and return the path."""
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            out = csv.writer(file)
            out.writerow(("investor_id", "loan_id", "settlement_date", *AMOUNTS, "memo"))
            for (on, loan, investor), amounts in sorted(self.paid.items(), key=lambda row: row[0][::-1]):
                if any(amounts):
                    out.writerow((investor, loan, on.isoformat(), *amounts, "x"))
        return str(path)


def key_of(share: Mapping[str, Any]) -> Key:
    """Return date, loan and investor of a share."""
    return share["settlement_date"], share["loan_id"], share["investor_id"]


def amounts_of(share: Mapping[str, Any], sign: int = 1) -> list[int]:
    """Return the amounts of a share."""
    return [sign * share[name] for name in AMOUNTS]


def same(found: Sequence[Mapping[str, Any]]) -> Old:
    """Return an old system that paid what these shares come to."""
    old = Old()
    for share in found:
        old.pay(key_of(share), amounts_of(share))
    return old


def planted(found: Sequence[Mapping[str, Any]], dates: Sequence[date]) -> Old:
    """Return an old system with a difference of each cause, and one of none."""
    old, first = same(found), dates[0]
    for share in found:
        on, loan, investor = key = key_of(share)
        gross, is_interest, is_first = share["gross_amount"], share["component"] == "interest", on == first
        if loan == FEE and is_interest:  # a tenth, and not 8 %
            fee, vat = gross // 10 - share["fee_amount"], gross // 10 // 10 - share["vat_amount"]
            old.plant("fee", key, [0, fee, vat, 0, 0, -fee - vat])
        if loan == TAX and is_interest and investor not in CLASSES:  # a quarter, and not 14 %
            national, local = taxes(gross, 250_000)
            more = [national - share["national_tax_amount"], local - share["local_tax_amount"]]
            old.plant("tax", key, [0, 0, 0, *more, -sum(more)])
        if loan == HOLDER and is_first and share["note_id"] == f"{HOLDER}-N1":  # another individual has it
            old.plant("holder", key, amounts_of(share, -1))
            old.plant("holder", (on, loan, _stranger(found, HOLDER)), amounts_of(share))
        if loan == RECORD and investor == "I9":  # I7 held it when it was due, an individual as I9 is not
            national, local = taxes(gross, 140_000) if is_interest else (0, 0)
            net = gross - share["fee_amount"] - share["vat_amount"] - national - local
            old.plant("record_date", key, amounts_of(share, -1))
            taken = [gross, share["fee_amount"], share["vat_amount"], national, local, net]
            old.plant("record_date", (on, loan, "I7"), taken)
        if loan == THEY_LACK:
            old.plant("receipt_they_lack", key, amounts_of(share, -1))
        if loan == WE_LACK:
            old.planted.setdefault(("receipt_we_lack", key), [0] * 6)
            known = old.planted["receipt_we_lack", key]
            old.planted["receipt_we_lack", key] = [a + b for a, b in zip(known, amounts_of(share), strict=True)]
        if loan == MOVED and is_first:  # paid on the Saturday after it
            old.plant("other_date", key, amounts_of(share, -1))
            old.plant("other_date", (SATURDAY, loan, investor), amounts_of(share))
        if loan == ROUNDED and is_interest:  # its local tax is not cut to tens
            local = share["national_tax_amount"] // 10 - share["local_tax_amount"]
            if local:
                old.plant("rounding", key, [0, 0, 0, 0, local, -local])
    somebody = next(key_of(share) for share in found if share["loan_id"] == STRANGE)
    old.plant("unexplained", somebody, [12_345, 0, 0, 0, 0, 12_345])
    return old


SATURDAY = date(2026, 2, 7)


def _stranger(found: Sequence[Mapping[str, Any]], loan: str) -> str:
    """Return an individual who has no share of a loan."""
    has = {share["investor_id"] for share in found if share["loan_id"] == loan}
    return next(name for name in (f"I{number}" for number in range(8)) if name not in has)


def differences(found: Mapping[str, Any]) -> Iterator[tuple[tuple[str, Key], list[int]]]:
    """Yield the differences of a command's JSON as `Old.planted` has them."""
    for row in found["differences"]:
        key = (date.fromisoformat(row["settlement_date"]), row["loan_id"], row["investor_id"])
        yield (row["cause"], key), [row[name] for name in AMOUNTS]


def show(owner_url: str, old: Old) -> None:
    """Let the source have what the old system paid, as relation `core.paid`: gross and net, without a currency."""
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table core.paid (settlement_date date, investor_id text, loan_id text, gross_amount bigint,"
            " net_amount bigint); grant select on core.paid to public"
        )
        rows = [
            {"on": on, "by": investor, "loan": loan, "gross": amounts[0], "net": amounts[5]}
            for (on, loan, investor), amounts in old.paid.items()
        ]
        connection.execute(sa.text("insert into core.paid values (:on, :by, :loan, :gross, :net)"), rows)
    engine.dispose()


def opening(found: Sequence[Mapping[str, Any]], *, before: date) -> str:
    """Return what shares leave on the eve of a date as opening positions: principal repaid, receivables paid."""
    stands: dict[tuple[str, str], int] = {}
    for share in found:
        if share["settlement_date"] < before:
            kinds = [("receivable_paid", share["receivable_id"])]
            if share["component"] == "principal":
                kinds.append(("note_principal_repaid", share["note_id"]))
            for kind in kinds:
                stands[kind] = stands.get(kind, 0) + share["gross_amount"]
    rows = [f"{kind},{subject},KRW,{amount}" for (kind, subject), amount in sorted(stands.items())]
    return "\n".join(["kind,subject_id,currency,amount", *rows, ""])
