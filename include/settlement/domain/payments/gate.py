"""The gate before money moves: what speaks against paying, as a list of named checks that reads aloud.

Method: the payouts that would be prepared are put before every check; each that objects says so in one sentence with
the values that it saw. Money that is not proven closes the gate for everybody. Any other objection can be answered for
by a person, by name and with a reason, and only word for word: when its values change, it is raised again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median_low

from settlement.domain.policy import Policy

USUAL_DAYS = 4
"""How many earlier totals of the same weekday say what is usual; with fewer, nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """An open break that may speak against paying: a gap in the statements, or a debit that nobody ordered."""

    break_id: int
    cause: str
    subject: str
    currency: str | None
    amount: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What would be paid and what is known about it. Amounts by currency, in minor units.

    `wanted` are the payouts to be prepared, `of_day` all of the settlement date with them, `proven` the money that
    the books prove after what is under way, `usual` the totals of the same weekday, newest first. `newest_statement` is
    the newest day of which all that the bank says is there, `unfinished` a later one of which only a part is.
    """

    settlement_date: date
    wanted: Mapping[str, int]
    of_day: Mapping[str, int]
    proven: Mapping[str, int]
    newest_statement: date | None
    unfinished: date | None = None
    breaks: Sequence[Blocking]
    usual: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why nothing should be paid now."""

    control: str
    said: str

    @property
    def is_final(self) -> bool:
        """Nobody can answer for it."""
        return self.control == money_is_proven.__name__


def objections(proposal: Proposal, policy: Policy) -> list[Objection]:
    """Return everything that speaks against the payouts; nothing speaks against paying nothing."""
    if not proposal.wanted:
        return []
    return [Objection(control=check.__name__, said=said) for check in CHECKS for said in check(proposal, policy)]


def statement_has_come(proposal: Proposal, policy: Policy) -> list[str]:
    """The bank's statement of the settlement date, or a later one, is in the books with all its pages."""
    newest = proposal.newest_statement
    if policy.gate.needs == "ledger" or (newest is not None and newest >= proposal.settlement_date):
        return []
    have = f"the newest is of [{newest}]" if newest else "none has come so far"
    if proposal.unfinished:
        have += f"; that of [{proposal.unfinished}] has only begun"
    return [f"The bank's statement of [{proposal.settlement_date}] has not come ({have}): ask the bank for it"]


def money_is_proven(proposal: Proposal, policy: Policy) -> list[str]:
    """One investor's shortfall is never paid from another's money (rules, section 7)."""
    return [
        f"Payouts of [{amount} {currency}] against proven money of [{proposal.proven.get(currency, 0)}]:"
        f" [{amount - proposal.proven.get(currency, 0)}] is missing, and one investor is never paid from another's"
        " money. Look at the open breaks and the bank's statement"
        for currency, amount in sorted(proposal.wanted.items())
        if amount > proposal.proven.get(currency, 0)
    ]


def no_break_touches_payouts(proposal: Proposal, policy: Policy) -> list[str]:
    """No open break says that the bank's money is not known, or that it paid what nobody ordered."""
    return [
        f"Break [{found.break_id}] is open: {found.cause} of [{found.subject}]"
        + (f", [{found.amount} {found.currency}]" if found.amount is not None else "")
        for found in sorted(proposal.breaks, key=lambda found: found.break_id)
        if found.cause in policy.gate.breaks and (found.amount is None or found.amount < 0 or not _is_line(found))
    ]


def totals_are_usual(proposal: Proposal, policy: Policy) -> list[str]:
    """The day's payouts are not far above what the same weekday usually has."""
    said = []
    for currency, amount in sorted(proposal.of_day.items()):
        usual = proposal.usual.get(currency, ())
        if policy.gate.usual_percent is None or len(usual) < USUAL_DAYS:
            continue
        middle = median_low(usual)
        if amount * 100 > middle * policy.gate.usual_percent:
            said.append(
                f"Payouts of [{amount} {currency}] are more than {policy.gate.usual_percent} % of what this weekday"
                f" usually has [{middle}, the median of {len(usual)}]"
            )
    return said


def within_the_limit(proposal: Proposal, policy: Policy) -> list[str]:
    """The day's payouts do not exceed the limit at which the policy closes the gate."""
    limits = policy.gate.limit
    return [
        f"Payouts of [{amount} {currency}] exceed the policy's gate.limit of [{limits[currency]}]"
        for currency, amount in sorted(proposal.of_day.items())
        if currency in limits and amount > limits[currency]
    ]


CHECKS: tuple[Callable[[Proposal, Policy], list[str]], ...] = (
    statement_has_come,
    money_is_proven,
    no_break_touches_payouts,
    totals_are_usual,
    within_the_limit,
)


def _is_line(found: Blocking) -> bool:
    return found.subject.startswith("line ")
