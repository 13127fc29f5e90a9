"""What is unpaid of a refund goes back to the credits that it came of, the last one first."""

import pytest
from settlement.domain.payments.refunds import RefundPart, unpaid_parts

PARTS = [RefundPart(repayment_id="R1", amount=100), RefundPart(repayment_id="R2", amount=50)]


@pytest.mark.parametrize(
    ("unpaid", "back"),
    [
        (150, [("R2", 50), ("R1", 100)]),
        (149, [("R2", 50), ("R1", 99)]),
        (51, [("R2", 50), ("R1", 1)]),
        (50, [("R2", 50)]),
        (1, [("R2", 1)]),
        (0, []),
        (200, [("R2", 50), ("R1", 100)]),
    ],
)
def test_what_was_taken_last_goes_back_first(unpaid: int, back: list[tuple[str, int]]) -> None:
    assert [(part.repayment_id, part.amount) for part in unpaid_parts(PARTS, unpaid)] == back
