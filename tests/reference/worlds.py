"""Random worlds: loans, money and mistakes of every kind the rules speak of, from one seed.

`story(seed, loans=…, days=…)` gives a world and its policy. The same seed gives the same story. Every loan is made of
the same plain schedule and then, by chance, disturbed: its notes are sold, its rows come late, contradict themselves
and are mended by a later run, its repayments are reversed early, late, twice or wrongly, its borrower asks for money
back that is held, or is not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies
from settlement.domain.policy import Policy

from .world import Fact, Holding, Investor, Loan, Note, Receivable, Refund, Repayment, World

CLASSES = ("individual", "individual", "individual", "corporation", "corporation", "lender", "nonresident")


@dataclass(frozen=True, slots=True)
class Story:
    """A world, the policy it is settled under, and the seed it grew from."""

    seed: int
    world: World
    policy: Policy


def kr_policy(*, de_minimis: int = 1_000, **changes: Any) -> Policy:
    """Return a policy with the Korean table for KRW, a lighter one for EUR, and the given changes."""
    individual = {"tax_class": "individual", "rate_ppm": 140_000}
    platform_fee = {"name": "platform_fee", "on": ["interest", "late_interest"], "vat_ppm": 100_000}
    return Policy.model_validate(
        {
            "name": "reference",
            "timezone": "Asia/Seoul",
            "fees": [
                {**platform_fee, "settled_until": date(2026, 3, 26), "rate_ppm": 80_000},
                {**platform_fee, "settled_from": date(2026, 3, 27), "rate_ppm": 75_000},
            ],
            "withholding": {
                "KRW": {
                    "unit": 10,
                    "local_ppm": 100_000,
                    "rules": [
                        {**individual, "disbursed_from": date(2021, 8, 27)},
                        {**individual, "disbursed_until": date(2021, 8, 26), "settled_from": date(2021, 10, 21)},
                        {
                            **individual,
                            "disbursed_until": date(2021, 8, 26),
                            "settled_until": date(2021, 10, 20),
                            "rate_ppm": 250_000,
                        },
                        {"tax_class": "corporation", "rate_ppm": 250_000, "de_minimis": de_minimis},
                        {"tax_class": "lender", "rate_ppm": 0},
                        {"tax_class": "nonresident", "rate_ppm": 200_000},
                        {"tax_class": "doubled", "rate_ppm": 100_000},
                        {"tax_class": "doubled", "rate_ppm": 110_000, "settled_from": date(2021, 1, 1)},
                    ],
                },
                "EUR": {
                    "unit": 1,
                    "local_ppm": 55_000,
                    "rules": [
                        {"tax_class": tax_class, "rate_ppm": rate_ppm}
                        for tax_class, rate_ppm in (
                            ("individual", 250_000),
                            ("corporation", 150_000),
                            ("lender", 0),
                            ("nonresident", 0),
                        )
                    ],
                },
            },
            "payouts": {"KRW": {}, "EUR": {}},
        }
        | changes
    )


def eur_policy(**changes: Any) -> Policy:
    """Return a policy as of a euro platform: oldest instalment first, excess advances principal, fees on payments."""
    return kr_policy(
        **{
            "timezone": "Europe/Berlin",
            "cut_off": "17:00",
            "waterfall": {
                "across": "installment",
                "order": ["late_interest", "cost", "interest", "principal"],
                "excess": "advance_principal",
            },
            "fees": [
                {"name": "service", "on": ["principal", "interest"], "rate_ppm": 10_001, "vat_ppm": 190_000},
                {"name": "collection", "on": ["late_interest", "interest"], "rate_ppm": 33_333},
            ],
        }
        | changes
    )


def random_policy(rng: Random) -> Policy:
    """Return the Korean policy, the euro one, or a mixture of both."""
    order = ["cost", "late_interest", "interest", "principal"]
    if rng.random() < 0.4:
        rng.shuffle(order)
    changes: dict[str, Any] = {
        "timezone": rng.choice(["Asia/Seoul", "Europe/Berlin", "America/New_York", "UTC"]),
        "de_minimis": rng.choice([1_000, 10, 50]),
        "cut_off": rng.choice(["24:00", "24:00", "17:00", "00:00", "02:30"]),
        "waterfall": {
            "across": rng.choice(["component", "installment"]),
            "order": order,
            "excess": rng.choice(["hold", "advance_principal", "advance"]),
        },
    }
    return rng.choice([kr_policy, eur_policy, kr_policy, eur_policy])(**rng.choice([{}, changes, changes]))


def story(seed: int, *, loans: int = 30, days: int = 6, notes: int = 6, policy: Policy | None = None) -> Story:
    """Return the story of that seed: about `loans` loans of about `notes` notes, settled on `days` dates."""
    rng = Random(seed)
    policy = policy or random_policy(rng)
    start = rng.choice([date(2026, 2, 9), date(2026, 3, 25), date(2021, 10, 18), date(2025, 10, 24), date(2026, 11, 1)])
    closed = {start + timedelta(days=rng.randrange(3, 3 * days)) for _ in range(rng.randrange(3))}

    def is_business_day(day: date) -> bool:
        return day.weekday() < 5 and day not in closed

    dates = [day for day in (start + timedelta(days=i) for i in range(1, 4 * days + 30)) if is_business_day(day)][:days]
    run_on = [day for i, day in enumerate(dates) if i == 0 or rng.random() > 0.08]
    maker = Maker(rng, policy, dates, run_on, notes)
    for _ in range(loans):
        maker.make_loan()
    maker.make_orphans()
    maker.make_refunds(Random(f"refunds {seed}"))
    facts = [version for fact in maker.facts for version in maker.versions(fact)]
    rng.shuffle(facts)
    return Story(seed, World(tuple(facts), tuple(run_on), is_business_day), policy)


def stories(**sizes: Any) -> strategies.SearchStrategy[Story]:
    """Return a strategy of stories, for properties."""
    return strategies.builds(lambda seed: story(seed, **sizes), strategies.integers(0, 2**40))


class Maker:
    """Makes the facts of a world, a loan at a time."""

    def __init__(self, rng: Random, policy: Policy, dates: list[date], run_on: list[date], notes: int) -> None:
        self.rng = rng
        self.zone = ZoneInfo(policy.timezone)
        self.cut_off = policy.cut_off
        self.dates = dates
        self.runs = len(run_on)
        self.typical_notes = notes
        self.facts: list[Fact] = []
        self.made: list[Repayment] = []
        self.count = 0
        self.whales = 1
        self.is_troubled = False
        for i in range(rng.randrange(4, 25)):
            self.add(Investor(investor_id=f"{rng.choice('Aaz')}{i}", tax_class=rng.choice(CLASSES)))
        self.investors = [f.row.investor_id for f in self.facts if isinstance(f.row, Investor)]

    def chance(self, of: float) -> bool:
        return self.rng.random() < of

    def id(self) -> str:
        """Return a new id whose place in bytewise order is random."""
        self.count += 1
        return f"{self.rng.choice(['', 'a', 'Z', '-', '10', 'é', '한'])}{self.rng.randrange(10)}.{self.count}"

    def add(self, row: Any, from_run: int = 0, until_run: int | None = None) -> None:
        self.facts.append(Fact(row, from_run, until_run))

    def add_mended(self, wrong: Any, right: Any) -> None:
        """Add a row that is wrong until some run, perhaps for ever; None on either side is no row."""
        mended_by = self.rng.randrange(1, self.runs + 2)
        if wrong is not None:
            self.add(wrong, 0, mended_by)
        if right is not None:
            self.add(right, mended_by)

    def late(self, of: float) -> int:
        """Return the first run that sees a row: mostly every run does."""
        return self.rng.randrange(1, self.runs + 1) if self.chance(of) else 0

    def day(self, low: int, high: int) -> date:
        return self.dates[0] + timedelta(days=self.rng.randrange(low, high))

    # --- loans ----------------------------------------------------------------------------------------------

    def make_loan(self) -> None:
        rng = self.rng
        loan = Loan(
            loan_id=self.id(),
            currency=rng.choice(["KRW", "KRW", "KRW", "EUR"]) if not self.chance(0.02) else "XTS",
            disbursed_on=rng.choice([date(2021, 8, 26), date(2021, 8, 27), date(2020, 1, 1), date(2021, 10, 1)]),
        )
        self.add(loan, self.late(0.02))
        self.is_troubled = self.chance(0.05)
        notes = self.make_notes(loan)
        outstanding = sum(note.principal for note in notes)
        receivables = self.make_receivables(loan, outstanding)
        repayments = self.make_repayments(loan, receivables, outstanding)
        for repayment in repayments:
            if self.chance(0.25):
                self.make_reversals(repayment)

    def make_notes(self, loan: Loan) -> list[Note]:
        rng = self.rng
        if self.chance(0.02):
            return []
        count = min(5_000, max(1, round(rng.lognormvariate(0, 0.9) * self.typical_notes)))
        size: Callable[[], int] = rng.choice(
            [
                lambda: 10_000,
                lambda: rng.randrange(1, 5),
                lambda: rng.choice([5_000, 10_000, 35_000, 950_000]),
                lambda: rng.randrange(1, 2_000_000),
                lambda: rng.randrange(1, 2_000_000),
                lambda: rng.randrange(10**10, 10**12),
            ]
        )
        if self.whales and self.chance(0.15):
            self.whales -= 1  # one to a world, so that no sum of a day passes a BIGINT
            count = rng.choice([1, 2, 3, 5, count])
            size = lambda: rng.randrange(2**50 // count, 2**55 // count)  # noqa: E731
        notes = [Note(note_id=self.id(), loan_id=loan.loan_id, principal=size()) for _ in range(count)]
        is_late = self.chance(0.03)
        for note in notes:
            self.add_mended(None, note) if is_late else self.add(note)
            self.make_holdings(note)
        return notes

    def make_holdings(self, note: Note) -> None:
        """Give the note one holder after the other from long ago; sometimes none, two, or an unknown one."""
        sold = sorted({self.day(-6, 30) for _ in range(self.rng.choice([0, 0, 0, 0, 1, 1, 2]))})
        first = date(2019, 1, 1)
        for held_from, until in zip([first, *sold], [*sold, None], strict=True):
            right = Holding(
                note_id=note.note_id,
                investor_id=self.rng.choice(self.investors),
                held_from=held_from,
                held_until_exclusive=until,
            )
            if not self.chance((2.0 if self.is_troubled else 0.12) / self.typical_notes):
                self.add(right)
                continue
            self.count += 1
            overlapping = replace(right, held_from=date(1999, 1, 1) + timedelta(days=self.count))
            if self.chance(0.5):
                overlapping = replace(overlapping, held_until_exclusive=self.day(-1, 20))
            stranger = replace(right, investor_id=self.id())
            mistake = self.rng.choice(
                ["nobody", "two", "ends early", "stranger", "stranger comes", "no rule", "two rules"]
            )
            if mistake == "nobody":
                self.add_mended(None, right)
            elif mistake == "two":
                self.add(right)
                self.add_mended(overlapping, None)
            elif mistake == "ends early":
                self.add_mended(replace(right, held_until_exclusive=self.day(-1, 9)), right)
            elif mistake == "stranger":
                self.add_mended(stranger, right)
            elif mistake == "stranger comes":
                self.add(stranger)
                self.add_mended(None, Investor(investor_id=stranger.investor_id, tax_class="individual"))
            else:
                unruled = Investor(investor_id=self.id(), tax_class="ghost" if mistake == "no rule" else "doubled")
                self.add_mended(unruled, replace(unruled, tax_class="corporation"))
                self.add(replace(right, investor_id=unruled.investor_id))

    def make_receivables(self, loan: Loan, outstanding: int) -> list[Receivable]:
        rng = self.rng
        receivables: list[Receivable] = []
        if self.chance(0.02):
            return receivables
        is_disorderly = self.chance(0.15)

        def owe(installment_no: int, component: str, due_on: date, amount: int) -> None:
            row = Receivable(
                receivable_id=self.id(),
                loan_id=loan.loan_id,
                installment_no=rng.randrange(6) if is_disorderly else installment_no,
                component=component,
                due_on=due_on,
                amount=amount,
            )
            if self.chance(0.01):
                component = rng.choice(["Interest", "", "penalty"])
                self.add_mended(replace(row, component=component), row if self.chance(0.7) else None)
            elif self.chance(0.02):
                self.add_mended(row, replace(row, amount=amount // 2))
            else:
                self.add(row, self.late(0.05))
            receivables.append(row)

        left = outstanding
        due_on = self.day(-25, 4)
        for installment_no in range(1, rng.randrange(2, 7)):
            due_on += timedelta(days=rng.choice([0, 1, 1, 2, 5, 9]))
            for _ in range(rng.choice([1, 1, 1, 2])):
                part = rng.choice([left, left // 2, left // 3, rng.randrange(left + 1), 1 if left else 0, 0])
                left -= part
                owe(installment_no, "principal", due_on + timedelta(days=self.chance(0.1)), part)
            interest = rng.choice(
                [10_000, 1, 0, outstanding // 100, rng.randrange(outstanding + 3), rng.randrange(99_999)]
            )
            owe(installment_no, "interest", due_on, interest)
            if self.chance(0.3):
                owe(installment_no, "late_interest", due_on + timedelta(days=rng.randrange(4)), rng.randrange(5_000))
            if self.chance(0.2):
                owe(installment_no, "cost", due_on + timedelta(days=rng.randrange(3)), rng.randrange(9_000))
        if self.chance(0.5 if self.is_troubled else 0.06):
            extra = Receivable(
                receivable_id=self.id(),
                loan_id=loan.loan_id,
                installment_no=9,
                component="principal",
                due_on=self.day(-9, 9),
                amount=outstanding + 1 if self.is_troubled else rng.choice([1, outstanding + 1, 50_000]),
            )
            self.add_mended(extra, rng.choice([None, replace(extra, amount=0), replace(extra, due_on=self.day(5, 40))]))
            receivables.append(extra)
        return receivables

    # --- money ----------------------------------------------------------------------------------------------

    def instant(self, low: int = -3) -> datetime:
        """Return an instant about a settlement date: by day, by night, on a weekend, or just about the cut-off."""
        day = self.rng.choice(self.dates) + timedelta(days=self.rng.choice([0, 0, 0, 0, 1, -1, 2]))
        if self.chance(0.05):
            day = self.dates[0] + timedelta(days=low)
        if self.chance(0.2):
            hours, minutes = map(int, self.cut_off.split(":"))
            local = datetime.combine(day, time(), self.zone) + timedelta(hours=hours, minutes=minutes)
            return local.astimezone(UTC) + self.rng.choice([-1, 0, 1]) * timedelta(microseconds=1)
        local = datetime.combine(day, time(self.rng.randrange(24), self.rng.choice([0, 0, 30])), self.zone)
        return local.astimezone(UTC)

    def make_repayments(self, loan: Loan, receivables: list[Receivable], outstanding: int) -> list[Repayment]:
        rng = self.rng
        total = sum(r.amount for r in receivables)
        repayments: list[Repayment] = []
        instant = self.instant()
        for _ in range(rng.choice([0, 1, 2, 2, 3, 3, 4, 6])):
            if self.chance(0.2 if self.is_troubled else 0.8):
                instant = self.instant()
            amount = rng.choice(
                [
                    total,
                    total // 2,
                    total // 3 + 1,
                    rng.randrange(total + 9),
                    rng.choice(receivables).amount if receivables else 77,
                    sum(r.amount for r in rng.sample(receivables, len(receivables) // 2)),
                    1,
                    rng.randrange(1, 50_000),
                    total + rng.randrange(1, 100),
                ]
            )
            if self.is_troubled:  # a rule to break with the first share, and another behind it
                amount = total if repayments else rng.randrange(1, 99)
            repayment = Repayment(
                repayment_id=self.id(), loan_id=loan.loan_id, received_at=instant, amount=max(1, amount)
            )
            self.add(repayment, self.late(0.1))
            self.made.append(repayment)
            repayments.append(repayment)
        return repayments

    def make_reversals(self, original: Repayment) -> None:
        """Undo the repayment, at any time before or after it, rightly or wrongly, once or twice."""
        rng = self.rng
        when = rng.choice([original.received_at, original.received_at, self.instant(), self.instant()])
        when += rng.choice([0, 0, 1, -1, 3_600, 90_000]) * timedelta(seconds=1)
        right = Repayment(
            repayment_id=self.id(),
            loan_id=original.loan_id,
            received_at=when,
            amount=original.amount,
            reverses_repayment_id=original.repayment_id,
        )
        again = replace(right, repayment_id=self.id(), received_at=self.instant())
        kind = rng.choice(["right"] * 9 + ["amount", "loan", "of a reversal", "double", "missing", "bad, then right"])
        if kind == "amount":
            right = replace(right, amount=right.amount + rng.choice([1, -1]) if right.amount > 1 else 2)
        elif kind == "loan":
            right = replace(right, loan_id=rng.choice([original, *self.made]).loan_id)
        elif kind == "missing":
            right = replace(right, reverses_repayment_id=self.id())
        elif kind == "of a reversal":
            self.add(replace(again, reverses_repayment_id=right.repayment_id))
        elif kind == "double":
            self.add(again, self.late(0.1))
        elif kind == "bad, then right":
            self.add(replace(again, amount=again.amount + 7))
        self.add(right, self.late(0.1))

    def make_orphans(self) -> None:
        """Add money, now and then, of a loan that does not exist, or that exists only later."""
        for _ in range(self.rng.randrange(3)):
            orphan = Repayment(repayment_id=self.id(), loan_id=self.id(), received_at=self.instant(), amount=5_000)
            self.add(orphan)
            if self.chance(0.5):
                self.make_reversals(orphan)

    def make_refunds(self, rng: Random) -> None:
        """Let borrowers ask for money back: a little of what they paid, all of it, or far too much.

        They are drawn from a stream of their own, so that they change nothing else in a story.
        """
        currency_of = {f.row.loan_id: f.row.currency for f in self.facts if isinstance(f.row, Loan)}
        for number, paid in enumerate(self.made):
            if rng.random() > 0.4 or paid.loan_id not in currency_of:
                continue
            currency = currency_of[paid.loan_id] if rng.random() > 0.05 else rng.choice(["KRW", "EUR"])
            requested_at = paid.received_at + rng.choice([-1, 0, 1, 1, 2, 3]) * timedelta(days=1)
            refund = Refund(
                refund_id=f"{rng.choice(['', 'a', 'Z', '한'])}F{number}",
                loan_id=paid.loan_id,
                currency=currency,
                amount=rng.choice([1, rng.randrange(1, 100), rng.randrange(1, paid.amount + 2), paid.amount]),
                requested_at=requested_at,
            )
            self.add(refund, rng.randrange(1, self.runs + 1) if rng.random() < 0.1 else 0)

    def versions(self, fact: Fact) -> list[Fact]:
        """Return the fact, or, now and then, what it is until some run and what it is from then on, if anything."""
        rng, row = self.rng, fact.row
        often = 0.06 / self.typical_notes if isinstance(row, Note | Holding) else 0.01
        if isinstance(row, Repayment | Refund) or fact.from_run or fact.until_run or not self.chance(often):
            return [fact]
        later: Any
        if isinstance(row, Loan):
            later = [replace(row, disbursed_on=date(2020, 5, 5))]
        elif isinstance(row, Investor):
            later = [replace(row, tax_class=rng.choice(CLASSES)), replace(row, tax_class="ghost"), None]
        elif isinstance(row, Note):
            later = [replace(row, principal=rng.choice([1, row.principal // 2 + 1, row.principal * 2])), None, None]
        elif isinstance(row, Holding):
            later = [replace(row, investor_id=rng.choice(self.investors)), None]
        else:
            later = [replace(row, amount=rng.choice([0, row.amount // 2, row.amount * 2])), None]
            later.append(replace(row, due_on=self.day(-9, 9)))
        changes_with = rng.randrange(1, self.runs + 1)
        changed = rng.choice(later)
        return [replace(fact, until_run=changes_with), *([Fact(changed, changes_with)] if changed else [])]
