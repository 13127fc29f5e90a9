"""From movements to a proven statement, the same way for every format.

A reader finds the balances and the movements; here they become a `Statement`: the balances must explain each other,
every line gets the id that its content makes, and the whole gets its content key.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from settlement.domain.bank import messages
from settlement.domain.bank.messages import Movement, Statement, StatementLine
from settlement.domain.errors import UnreadableMessage


def lines(
    movements: Sequence[Movement], *, statement_id: str, account: str, currency: str
) -> tuple[StatementLine, ...]:
    """Return one line per movement, in their order; movements that say the very same are told apart by counting."""
    return tuple(_lines(movements, statement_id, account, currency))


def _lines(movements: Sequence[Movement], statement_id: str, account: str, currency: str) -> Iterator[StatementLine]:
    seen: Counter[str] = Counter()
    for movement in movements:
        said = movement.said()
        seen[said] += 1
        yield StatementLine(
            line_id=messages.line_id(statement_id, account, said, occurrence=seen[said]),
            currency=currency,
            **{name: getattr(movement, name) for name in Movement.__slots__},
        )


def prove(
    *,
    statement_id: str,
    sequence: int | None,
    account: str,
    currency: str,
    business_date: date,
    from_date: date | None,
    to_date: date | None,
    opening: int,
    closing: int,
    movements: Sequence[Movement],
    not_booked: int = 0,
    line: int | None = None,
) -> Statement:
    """Return the statement, if opening + movements = closing. Raises UnreadableMessage with what is not explained."""
    entered = sum(movement.amount for movement in movements)
    if opening + entered != closing:
        raise UnreadableMessage(
            f"statement [{statement_id}] does not add up: opening {opening} and entries {entered} make "
            f"{opening + entered}, its closing balance is {closing} (minor units of {currency})",
            line=line,
            statement_id=statement_id,
            account=account,
            difference=closing - opening - entered,
        )
    return Statement(
        statement_id=statement_id,
        sequence=sequence,
        account=account,
        currency=currency,
        business_date=business_date,
        from_date=from_date,
        to_date=to_date,
        opening=opening,
        closing=closing,
        lines=lines(movements, statement_id=statement_id, account=account, currency=currency),
        content_key=messages.content_key(
            account=account,
            currency=currency,
            business_date=business_date,
            opening=opening,
            closing=closing,
            said=[movement.said() for movement in movements],
        ),
        not_booked=not_booked,
    )


def each_once(found: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return the statements of one file, a repeated one once.

    Raises UnreadableMessage if there is none, or if two of one name say different things.
    """
    if not found:
        raise UnreadableMessage("the message holds no statement")
    by_id: dict[str, Statement] = {}
    for statement in found:
        earlier = by_id.setdefault(statement.statement_id, statement)
        if earlier.content_key != statement.content_key:
            raise UnreadableMessage(
                f"statement [{statement.statement_id}] stands in it twice and says different things",
                statement_id=statement.statement_id,
                account=statement.account,
            )
    return tuple(by_id.values())
