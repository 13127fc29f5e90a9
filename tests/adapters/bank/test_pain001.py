"""The payment file: golden bytes, exact amounts, and nothing leaves that does not say what was meant."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mockbank import validate
from settlement.adapters.bank.formats import pain001
from settlement.domain.bank.messages import PaymentFile
from settlement.domain.errors import PaymentFileContradicts

from .mock_bank import ACCOUNT, payment, payment_file

GOLDEN = Path(__file__).parent / "golden"

IN_WON = payment_file(
    payment("S260216-1-A-KRW-1-1", 43_790),
    payment(
        "S260216-1-B-KRW-1-1",
        26_736,
        payee_name="주식회사 한빛투자",
        payee_account=ACCOUNT,
        payee_bank="SHBKKRSE",
    ),
    payment("S260216-1-C-KRW-1-1", 17_524, payee_name="André & Söhne <GmbH>", payee_bank=None, remittance=""),
    created_at=dt.datetime(2026, 2, 17, 6, 5, 7, 123456, tzinfo=dt.timezone(dt.timedelta(hours=9))),
)
IN_DOLLARS = payment_file(
    payment("P-1", 123_456), payment("P-2", 5), currency="USD", file_id="F-USD", debtor_agent=None
)


@pytest.mark.parametrize(("name", "file"), [("won.xml", IN_WON), ("dollars.xml", IN_DOLLARS)])
def test_a_file_is_written_to_the_byte(name: str, file: PaymentFile) -> None:
    assert pain001.write(file) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("file", [IN_WON, IN_DOLLARS])
def test_a_bank_finds_nothing_to_complain_of(file: PaymentFile) -> None:
    _, findings = validate.inspect(pain001.write(file), today=file.execution_date)
    assert findings == []


@pytest.mark.parametrize(
    ("currency", "amount", "written"),
    [("KRW", 95_000, "95000"), ("JPY", 1, "1"), ("USD", 95_000, "950.00"), ("USD", 5, "0.05"), ("BHD", 1, "0.001")],
)
def test_an_amount_has_the_decimals_of_its_currency(currency: str, amount: int, written: str) -> None:
    content = pain001.write(payment_file(payment(amount=amount), currency=currency))
    assert f'<InstdAmt Ccy="{currency}">{written}</InstdAmt>'.encode() in content
    assert content.count(f"<CtrlSum>{written}</CtrlSum>".encode()) == 2


def test_a_domestic_account_goes_to_its_clearing_member() -> None:
    content = pain001.write(payment_file(payment(payee_account="110-123-456789", payee_bank="088"))).decode()
    assert "<MmbId>088</MmbId>" in content and "<Id>110-123-456789</Id>" in content and "BICFI>088" not in content


def test_an_account_with_wrong_check_digits_is_not_called_an_iban() -> None:
    content = pain001.write(payment_file(payment(payee_account="KR24MOCK0000000099"))).decode()
    assert "<IBAN>KR24" not in content and "<Id>KR24MOCK0000000099</Id>" in content


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("김\x00하\u200b늘\n ", "김하늘"),
        ("\u1100\u1175\u11b7", "김"),  # decomposed jamo
        ("  A \t B  ", "A B"),
        ("가" * 200, "가" * 140),
        ("a" * 139 + " b", "a" * 139),
    ],
)
def test_a_name_is_cleaned_and_cut(name: str, written: str) -> None:
    assert f"<Nm>{written}</Nm>" in pain001.write(payment_file(payment(payee_name=name))).decode()


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (payment_file(file_id="x" * 36), "35"),
        (payment_file(file_id="F 1"), "35"),
        (payment_file(payment("x" * 36)), "payment id"),
        (payment_file(payment("김")), "payment id"),
        (payment_file(payment("P-1"), payment("P-1")), "P-1.*more than once"),
        (payment_file(payment(amount=0)), "amount"),
        (payment_file(payment(amount=-1)), "amount"),
        (payment_file(payment(amount=10**18)), "amount"),
        (payment_file(payment("P-1", 10**18 - 1), payment("P-2", 1)), r"sum \[1000000000000000000\].*max_per_file"),
        (payment_file(payment(payee_name="\x00 ")), "name"),
        (payment_file(payment(payee_account="")), "account"),
        (payment_file(payment(payee_account="1" * 35)), "account"),
        (payment_file(payment(payee_bank="no bank")), "bank"),
        (payment_file(currency="XXX"), "XXX"),
        (payment_file(created_at=dt.datetime(2026, 2, 16)), "time zone"),
        (payment_file(debtor_name=""), "debtor"),
    ],
)
def test_a_file_that_cannot_be_written_as_it_is_does_not_leave(file: PaymentFile, why: str) -> None:
    with pytest.raises(PaymentFileContradicts, match=why):
        pain001.write(file)


def test_a_file_without_payments_does_not_leave() -> None:
    file = payment_file()
    with pytest.raises(PaymentFileContradicts, match="no payment"):
        pain001.write(replace(file, payments=file.payments.head(0)))


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (b"43790<", b"43791<", "the payments"),
        (b"<NbOfTxs>3", b"<NbOfTxs>4", "count"),
        (b"<CtrlSum>88050", b"<CtrlSum>88051", "sum"),
        (b"S260216-1-B", b"S260216-1-A", "uniqueness"),
        (b"F260216-1-KRW-1", b"F260216-1-KRW-2", "file id"),
        (b'Ccy="KRW">17524', b'Ccy="JPY">17524', "currency"),
        (b"110-123-456789", b"110-123-456780", "the payments"),
        (b"<MmbId>088", b"<MmbId>089", "the payments"),
        (b"<Dt>2026-02-16", b"<Dt>2026-02-17", "execution date"),
        (b"pain.001.001.09", b"pain.001.001.03", "namespace"),
        (b"</Document>", b"", "read back"),
        (b"43790<", b"4379x<", "read back"),
        (b"43790<", b"43790.5<", "read back"),
    ],
)
def test_bytes_that_say_something_else_are_caught_before_they_leave(before: bytes, after: bytes, what: str) -> None:
    content = pain001.write(IN_WON)
    assert before in content
    with pytest.raises(PaymentFileContradicts, match=what):
        pain001.prove(content.replace(before, after), IN_WON)


def test_a_payment_that_slips_into_the_file_is_caught() -> None:
    content = pain001.write(IN_WON)
    start, end = content.index(b"<CdtTrfTxInf>"), content.index(b"</CdtTrfTxInf>") + len(b"</CdtTrfTxInf>")
    with pytest.raises(PaymentFileContradicts, match="the payments"):
        pain001.prove(content[:end] + content[start:end] + content[end:], IN_WON)


@settings(max_examples=40, deadline=None, database=None)
@given(
    name=st.text(min_size=1, max_size=300).map(lambda text: "이" + text),
    amounts=st.lists(st.integers(1, 10**12), min_size=1, max_size=5),
    remittance=st.text(max_size=300),
)
def test_whatever_the_names_are_the_file_is_the_same_bytes_and_a_bank_reads_it(
    name: str, amounts: list[int], remittance: str
) -> None:
    file = payment_file(
        *(
            payment(f"P-{number}", amount, payee_name=name, remittance=remittance)
            for number, amount in enumerate(amounts)
        )
    )
    content = pain001.write(file)
    assert content == pain001.write(file)
    read, findings = validate.inspect(content, today=file.execution_date)
    assert findings == []
    assert [transfer.amount for transfer in read.payments] == amounts
