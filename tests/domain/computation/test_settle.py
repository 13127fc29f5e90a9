"""Days of one loan, worked by hand: cash application, distribution, fees, taxes and the books together."""

from tests.domain.stories import day, journal, rows, shares, totals


def test_the_worked_day_of_the_contract_comes_out_to_the_won() -> None:
    outcome = day()
    assert rows(outcome.allocations) == [
        (1, "R1", "L1", "I1", "KRW", "interest", 10_000),
        (2, "R1", "L1", "P1", "KRW", "principal", 80_000),
    ]
    assert shares(outcome) == [
        ("R1", "I1", "N1", "A", 5_000, 400, 40, 700, 70, 3_790),
        ("R1", "I1", "N2", "B", 3_000, 240, 24, 0, 0, 2_736),
        ("R1", "I1", "N3", "C", 2_000, 160, 16, 280, 20, 1_524),
        ("R1", "P1", "N1", "A", 40_000, 0, 0, 0, 0, 40_000),
        ("R1", "P1", "N2", "B", 24_000, 0, 0, 0, 0, 24_000),
        ("R1", "P1", "N3", "C", 16_000, 0, 0, 0, 0, 16_000),
    ]
    assert journal(outcome) == [
        ("repayment_extracted", "R1", "receipts_in_transit", 95_000),
        ("repayment_extracted", "R1", "repayments_unallocated", -95_000),
        ("repayment_distributed", "R1", "borrower_credit:L1", -5_000),
        ("repayment_distributed", "R1", "fee_income", -800),
        ("repayment_distributed", "R1", "investor_payable:A", -43_790),
        ("repayment_distributed", "R1", "investor_payable:B", -26_736),
        ("repayment_distributed", "R1", "investor_payable:C", -17_524),
        ("repayment_distributed", "R1", "repayments_unallocated", 95_000),
        ("repayment_distributed", "R1", "tax_payable:local", -90),
        ("repayment_distributed", "R1", "tax_payable:national", -980),
        ("repayment_distributed", "R1", "vat_payable", -80),
    ]
    assert rows(outcome.credits) == [("L1", "R1", "KRW", 5_000, "held")]
    assert rows(outcome.repayments) == [("R1", "L1", "KRW", 95_000, None, "settled", True, 5_000)]
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "currency", "amount") == [
        ("overpaid", "loan", "L1", "KRW", 5_000)
    ]
    assert totals(outcome) == {
        "repayment_count": 1,
        "received": 95_000,
        "distributed": 88_050,
        "fee": 800,
        "vat": 80,
        "national_tax": 980,
        "local_tax": 90,
        "credit": 5_000,
    }
