"""Why something is refused or has to wait: what a person reads, and whether trying again helps.

Every refusal of the product stands here. The module imports nothing but dates, so that whoever only has to tell one
refusal from another (Airflow's scheduler, for one) loads nothing else with it.
"""

from datetime import date, datetime

# ------------------------------------------------------------------------------------- what a task says of its attempt


class Refused(Exception):
    """The day stops here until a person does what the message says; trying again changes nothing."""


class RequestRefused(Refused):
    """What a run was asked cannot be done: nothing began, and the same run can never do it. Another one is asked."""


class Unapproved(Refused):
    """A restatement would take back what was paid out, and no second person has approved exactly that."""


class Unavailable(Exception):
    """Something outside did not answer; the message names it. Trying again later may work."""


class NotYet(Exception):
    """What is needed has not come; ask again until [until]."""

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Displaced(Refused):
    """Another run has opened this settlement date since: this one stops and writes nothing."""


class MissingConnection(Refused):
    """A connection that is needed is not configured; the message names it and how to set it."""


# ------------------------------------------------------------------------------------------------ what stops the day


class BrokenInvariant(Exception):
    """The arithmetic came out wrong, or the ledger contradicts itself: the day stops before any money moves."""


class Broken(Exception):
    """A control does not hold; the day stops before money moves."""

    def __init__(self, control: str, message: str) -> None:
        self.control = control
        self.problem = message
        super().__init__(
            f"Control [{control}] is broken: {message}. Nothing was posted; keep the frozen inputs and tell engineering"
        )


# ------------------------------------------------------------------------------------------- what cannot be used


class InvalidFrame(ValueError):
    """A frame breaks its specification; the message names frame, column, row key and rule."""


class InvalidPolicy(ValueError):
    """The policy file cannot be used; the message has one line per problem: key, value, what is allowed."""


class NotASettlementDate(ValueError):
    """A date that cannot be settled (now, or ever); the message says why and names the nearest dates that can."""

    def __init__(self, on: date, why: str, nearest: tuple[date, ...], otherwise: str) -> None:
        self.on = on
        self.why = why
        self.nearest = nearest
        if len(nearest) == 1:
            remedy = f"The nearest date that can be settled is [{nearest[0]}]."
        elif nearest:
            remedy = f"The nearest dates that can be settled are {' and '.join(f'[{day}]' for day in nearest)}."
        else:
            remedy = otherwise
        super().__init__(f"[{on}] cannot be settled: {why}. {remedy}")


class UnreadableMessage(ValueError):
    """Bytes from a bank that cannot be used, with the reason and, where one can be named, the line.

    Such a message is kept, told and changes nothing. `statement_id`, `account` and `difference` are set when the
    message could be read but contradicts itself: a person then knows which statement it is and how much money it does
    not explain.
    """

    def __init__(
        self,
        reason: str,
        *,
        line: int | None = None,
        statement_id: str | None = None,
        account: str | None = None,
        difference: int | None = None,
    ) -> None:
        self.reason = reason
        self.line = line
        self.statement_id = statement_id
        self.account = account
        self.difference = difference
        super().__init__(reason if line is None else f"line {line}: {reason}")


class PaymentFileContradicts(ValueError):
    """A payment file that must not leave: its bytes do not say what was meant, or it cannot be written at all."""
