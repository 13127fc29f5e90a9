"""Telling people: what happened becomes an event in the outbox, in the transaction that it tells of."""

from collections.abc import Mapping

from settlement.domain.alerts.event import Money


def money_of(amounts: Mapping[str, int]) -> tuple[Money, ...]:
    """Return amounts by currency as events carry them, in the order of the currencies."""
    return tuple(Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items()))
