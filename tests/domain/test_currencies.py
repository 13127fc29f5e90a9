"""Amounts as they stand on the wire: the decimals of each currency, exactly, both ways."""

import pytest
from settlement.domain import currencies
from settlement.domain.currencies import NotAnAmount, UnknownCurrency


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (123_456, "KRW", "123456"),
        (123_456, "USD", "1234.56"),
        (123_456, "BHD", "123.456"),
        (123_456, "CLF", "12.3456"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (-5, "USD", "-0.05"),
        (-7, "KRW", "-7"),
    ],
)
def test_minor_units_are_written_with_the_decimals_of_the_currency(amount: int, currency: str, written: str) -> None:
    assert currencies.to_decimal_text(amount, currency) == written


@pytest.mark.parametrize(
    ("written", "currency", "amount"),
    [
        ("123456", "KRW", 123_456),
        ("123456.00000", "KRW", 123_456),
        ("1234.5", "USD", 123_450),
        ("1234.560", "USD", 123_456),
        (".05", "USD", 5),
        ("5.", "USD", 500),
        ("+5", "USD", 500),
        (" 007 ", "KRW", 7),
        ("999999999999999999", "KRW", 10**18 - 1),
    ],
)
def test_what_is_written_is_read_exactly(written: str, currency: str, amount: int) -> None:
    assert currencies.from_decimal_text(written, currency) == amount


@pytest.mark.parametrize(
    ("written", "currency"),
    [
        ("0.5", "KRW"),
        ("1.005", "USD"),
        ("0.00001", "EUR"),
        ("-1", "KRW"),
        ("1,000", "KRW"),
        ("1e3", "KRW"),
        ("NaN", "KRW"),
        ("", "KRW"),
        (".", "KRW"),
        ("٥", "KRW"),
        ("1 000", "KRW"),
        ("1" * 19, "KRW"),
        ("0" * 100 + "1", "KRW"),
        ("9" * 10_000, "KRW"),
    ],
)
def test_what_the_currency_cannot_express_is_refused(written: str, currency: str) -> None:
    with pytest.raises(NotAnAmount):
        currencies.from_decimal_text(written, currency)


@pytest.mark.parametrize("currency", ["XXX", "DEM", "krw", "", "KR"])
def test_a_currency_that_is_not_in_the_list_has_no_decimals_to_guess(currency: str) -> None:
    with pytest.raises(UnknownCurrency, match="ISO 4217"):
        currencies.exponent(currency)
