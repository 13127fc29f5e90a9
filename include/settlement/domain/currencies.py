"""How many decimals a currency has, and how an amount in minor units is written and read.

The table is ISO 4217's list of active codes with their exponent. A currency that is not in it is refused: guessing two
decimals is how 123 456 won become 1 234.56.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

_CODES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD AOA ARS AUD AWG
    AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK
    DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW
    KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()}
)

LARGEST_AMOUNT = 10**18 - 1
"""An amount on the wire has at most eighteen digits (ISO 20022, ActiveCurrencyAndAmount); it also fits a BIGINT."""

_DECIMAL = re.compile(r"\+?(\d*)(?:\.(\d*))?", re.ASCII)


class UnknownCurrency(ValueError):
    """The code is not an active one of ISO 4217."""


class NotAnAmount(ValueError):
    """The text is not an unsigned amount that the currency can express."""


def exponent(currency: str) -> int:
    """Return how many decimals [currency] has. Raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"Currency [{currency}] is not an active code of ISO 4217") from None


def to_decimal_text(amount: int, currency: str) -> str:
    """Write minor units as a decimal number: 123456 KRW is "123456", 123456 USD is "1234.56", -5 USD is "-0.05"."""
    places = exponent(currency)
    digits = str(abs(amount)).rjust(places + 1, "0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def to_grouped_text(amount: int, currency: str) -> str:
    """Write minor units as people read them, without the currency: -1234567 KRW is "-1,234,567". Raises as exponent."""
    whole, point, rest = to_decimal_text(abs(amount), currency).partition(".")
    return f"{'-' if amount < 0 else ''}{int(whole):,}{point}{rest}"


def from_decimal_text(text: str, currency: str) -> int:
    """Read an unsigned decimal number as minor units, exactly.

    Zeros beyond the currency's decimals say nothing and are taken ("1000.00" KRW is 1000); any other digit there is
    money that the currency does not have. Raises NotAnAmount, UnknownCurrency.
    """
    places = exponent(currency)
    found = _DECIMAL.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]) or len(text) > 64:
        raise NotAnAmount(f"[{text[:64]}] is not an unsigned decimal number")
    fraction = (found[2] or "").ljust(places, "0")
    if fraction[places:].strip("0"):
        raise NotAnAmount(f"[{text}] has more decimals than the {places} that {currency} has")
    amount = int((found[1] or "0") + fraction[:places])
    if amount > LARGEST_AMOUNT:
        raise NotAnAmount(f"[{text}] has more than eighteen digits")
    return amount
