"""Corrections of a world's past: what a lending core says otherwise once dates have been settled.

`corrected(story, seed, runs=…)` disturbs a story with rows that change, go, or come between its runs, some twice;
`repriced` gives the policies under which the runs are made. Both draw from streams of their own, so that a story and
its corrections are the same for the same seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from settlement.domain import policy as policies
from settlement.domain.currencies import LARGEST_AMOUNT
from settlement.domain.policy import Policy

from .world import Fact, Holding, Investor, Loan, Note, Receivable, Refund, Repayment, Row
from .worlds import CLASSES, Story

OFTEN = {Loan: 0.06, Investor: 0.08, Note: 0.03, Holding: 0.05, Receivable: 0.08, Repayment: 0.12, Refund: 0.1}
"""How often a row of each kind is corrected once."""


def corrected(story: Story, seed: int, *, runs: int, often: float = 1.0, notes: int = 6) -> Story:
    """Return the story with corrections between its runs; `often` scales how many.

    Of loans of more `notes` than six fewer notes are corrected, or each such loan would be refused for one of them.
    """
    rng = Random(f"corrections {seed}")
    buyers = [fact.row.investor_id for fact in story.world.facts if isinstance(fact.row, Investor)]
    of_notes = often * min(1.0, 6 / notes)
    facts = [
        later
        for fact in story.world.facts
        for often_now in [of_notes if isinstance(fact.row, Note | Holding) else often]
        for later in _versions(rng, story, fact, buyers, runs, often_now)
    ]
    facts += _reversals(rng, story, runs, often)
    facts += _receivables(rng, story, runs, often)
    return replace(story, world=replace(story.world, facts=tuple(facts)))


def _versions(rng: Random, story: Story, fact: Fact, buyers: Sequence[str], runs: int, often: float) -> Iterator[Fact]:
    """Yield what the row is run by run: itself, what it is corrected to, and now and then itself again."""
    if fact.from_run or fact.until_run is not None or rng.random() > often * OFTEN[type(fact.row)]:
        yield fact
        return
    since = rng.randrange(1, runs)
    until = rng.choice([None, None, rng.randrange(since, runs) + 1])
    if isinstance(fact.row, Repayment | Refund):  # a row of money never changes; it comes late
        yield replace(fact, from_run=since)
        return
    yield replace(fact, until_run=since)
    for row in _corrected(rng, story, fact.row, buyers):
        yield Fact(row, since, until)
    if until is not None:
        yield Fact(fact.row, until)


def _corrected(rng: Random, story: Story, row: Row, buyers: Sequence[str]) -> Sequence[Row]:
    dates = story.world.dates

    def a_day(low: int, high: int) -> date:
        return rng.choice(dates) + timedelta(days=rng.randrange(low, high))

    if isinstance(row, Loan):
        return rng.choice([[replace(row, disbursed_on=rng.choice([date(2020, 5, 5), date(2022, 5, 5)]))], []])
    if isinstance(row, Investor):
        return [replace(row, tax_class=rng.choice([*CLASSES, "ghost"]))]
    if isinstance(row, Note):
        return rng.choice([[replace(row, principal=rng.choice([1, row.principal // 2 + 1, row.principal * 2]))], []])
    if isinstance(row, Holding):
        sold_on = a_day(-6, 3)
        if row.held_from >= sold_on or (row.held_until_exclusive or date.max) <= sold_on:
            return []
        sold = replace(row, held_until_exclusive=sold_on)
        return [sold, replace(row, held_from=sold_on, investor_id=rng.choice(buyers))][: rng.choice([1, 2, 2, 2, 2])]
    assert isinstance(row, Receivable)
    return rng.choice(
        [
            [replace(row, amount=rng.choice([0, row.amount // 2, row.amount + 1, row.amount * 2]))],
            [replace(row, due_on=a_day(-9, 9))],
            [replace(row, component=rng.choice(["cost", "late_interest", "interest", "principal", "penalty"]))],
            [replace(row, installment_no=rng.randrange(6))],
            [],
        ]
    )


def _reversals(rng: Random, story: Story, runs: int, often: float) -> Iterator[Fact]:
    """Yield reversals that come to be known late, of repayments whenever these were settled."""
    for number, fact in enumerate(story.world.facts):
        row = fact.row
        if not isinstance(row, Repayment) or row.reverses_repayment_id is not None or rng.random() > 0.1 * often:
            continue
        received_at = datetime.combine(rng.choice(story.world.dates), row.received_at.time(), UTC)
        yield Fact(
            replace(
                row,
                repayment_id=f"{rng.choice(['-', 'm', '한'])}U{number}",
                received_at=max(received_at, row.received_at + timedelta(seconds=rng.choice([-1, 0, 1]))),
                reverses_repayment_id=row.repayment_id,
            ),
            rng.randrange(runs),
        )


def _receivables(rng: Random, story: Story, runs: int, often: float) -> Iterator[Fact]:
    """Yield receivables that come to be known late, due whenever."""
    for number, fact in enumerate(story.world.facts):
        if isinstance(fact.row, Receivable) and rng.random() < 0.04 * often:
            due_on = rng.choice(story.world.dates) + timedelta(days=rng.randrange(-9, 9))
            late = replace(fact.row, receivable_id=f"{rng.choice(['-', 'm', '한'])}C{number}", due_on=due_on)
            yield Fact(late, rng.randrange(1, runs))


def repriced(story: Story, seed: int, *, runs: int) -> list[Policy]:
    """Return the policy of each run: mostly the one before it, sometimes with another waterfall, fee or tax."""
    rng = Random(f"policies {seed}")
    content = story.policy.model_dump(exclude_none=True)
    content |= {"gate": {"needs": "ledger"}, "payouts": {"KRW": {"maximum": LARGEST_AMOUNT}, "EUR": {}}}
    found = [as_read(content)]
    while len(found) < runs:
        if rng.random() < 0.2:
            content = content | rng.choice([_waterfall, _fees, _withholding])(rng, content)
        found.append(as_read(content))
    return found


def _waterfall(rng: Random, content: dict[str, Any]) -> dict[str, Any]:
    order = rng.sample(content["waterfall"]["order"], 4)
    across, excess = rng.choice(["component", "installment"]), rng.choice(["hold", "advance_principal", "advance"])
    return {"waterfall": content["waterfall"] | {"order": order, "across": across, "excess": excess}}


def _fees(rng: Random, content: dict[str, Any]) -> dict[str, Any]:
    return {"fees": [fee | {"rate_ppm": rng.randrange(1, 90_000)} for fee in content["fees"]]}


def _withholding(rng: Random, content: dict[str, Any]) -> dict[str, Any]:
    won = content["withholding"]["KRW"]
    rules = [
        rule | {"rate_ppm": rule["rate_ppm"] * rng.choice([1, 1, 2]) // rng.choice([1, 2])} for rule in won["rules"]
    ]
    return {"withholding": content["withholding"] | {"KRW": won | {"rules": rules}}}


def as_read(content: dict[str, Any]) -> Policy:
    """Return the policy as it is read from a file, so that its text can be kept and read again."""
    return policies.parse("\n".join(f"{name} = {_toml(value)}" for name, value in content.items()).encode())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(of)}" for name, of in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)
