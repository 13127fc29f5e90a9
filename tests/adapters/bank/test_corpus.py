"""Files as several banks write them: each is read to exactly these balances and movements, or refused for exactly
this reason.

The files are our own, in the shapes in which banks of these countries write: they name nobody who exists.
"""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT, ColumnMap
from settlement.domain.bank.messages import FileAnswer, Reading
from settlement.domain.bank.statement import Notification, Statement
from settlement.domain.errors import UnreadableMessage

from .readings import parts

SEOUL = ZoneInfo("Asia/Seoul")
CORPUS = Path(__file__).parents[2] / "corpus"

GERMAN_EXPORT = ColumnMap(
    currency="EUR",
    account="DE02120300000000202051",
    booked_on="Buchungstag",
    booked_time="Zeit",
    amount="Umsatz",
    direction="Soll/Haben",
    debit=("S",),
    credit=("H",),
    balance="Saldo",
    remittance=("Verwendungszweck",),
    reference="Referenz",
    date_order="dmy",
    decimal=",",
)
AMERICAN_EXPORT = ColumnMap(
    currency="USD", account="021000021", booked_on="Date", amount="Amount", balance="Balance", date_order="mdy"
)
BRANCH_EXPORT = replace(KOREAN_EXPORT, charge="수수료", file_id="파일번호")
EXPORTS = {"korean": KOREAN_EXPORT, "branch": BRANCH_EXPORT, "german": GERMAN_EXPORT, "american": AMERICAN_EXPORT}
"""What the columns of a CSV mean, by the country with which its name begins."""

Said = tuple[str, str | None, str | None, int | None, int | None, list[int]]
"""Account, currency, date, opening, closing and movements.

A notification has no date, no balances and perhaps no currency.
"""

READ: dict[str, list[Said]] = {
    "camt/british-02-two-currencies-one-id.xml": [
        ("GB33BUKB20201555555555", "GBP", "2026-02-16", 1000, 1500, [500]),
        ("GB33BUKB20201555555555", "SEK", "2026-02-16", 700, 700, []),
    ],
    "camt/dutch-02-empty-day.xml": [
        ("NL91RABO0315273637", "EUR", "2026-02-15", 1815, 1815, []),
    ],
    "camt/dutch-02-two-accounts.xml": [
        ("NL91RABO0315273637", "EUR", "2026-02-16", 1815, 2700, [885]),
        ("NL44RABO0123456789", "EUR", "2026-02-16", 2700, 2000, [-700]),
    ],
    "camt/five-decimals-of-nothing-02.xml": [
        ("NL26VAYB8060476890", "EUR", "2026-02-16", 1815, 2700, [885]),
    ],
    "camt/german-02-return-with-charges.xml": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 1000000, 1047138, [50000, -2562, -300]),
    ],
    "camt/german-052-08-no-entries.xml": [
        ("DE02120300000000202051", "EUR", None, None, None, []),
    ],
    "camt/german-054-08-dated-by-its-header.xml": [
        ("DE02120300000000202051", "EUR", None, None, None, [500]),
    ],
    "camt/german-054-08-dated-by-nothing-but-value.xml": [
        ("DE02120300000000202051", "EUR", None, None, None, [500]),
    ],
    "camt/german-054-08-no-entries.xml": [
        ("DE02120300000000202051", None, None, None, None, []),
    ],
    "camt/german-08-available-balances-only.xml": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/german-08-balances-without-direction.xml": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/german-08-middle-of-a-day.xml": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/german-08-tag-in-the-remittance.xml": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-batch-named-by-msgid.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 100000, 29474, [-70526]),
    ],
    "camt/korean-02-batch-named-by-pmtinfid.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 100000, 29474, [-70526]),
    ],
    "camt/korean-02-batch-named-in-its-references.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 100000, 29474, [-70526]),
    ],
    "camt/korean-02-charge-as-a-total.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "camt/korean-02-charge-at-the-entry.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "camt/korean-02-charge-at-the-transaction.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "camt/korean-02-charge-in-dollars.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1526]),
    ],
    "camt/korean-02-charge-told-twice.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "camt/korean-02-charge-untold.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8474, [-1526]),
    ],
    "camt/korean-02-charges-at-both-levels.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 10000, 8464, [-1500, -10, -26]),
    ],
    "camt/korean-02-cp949-called-euc-kr.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-day-in-two-messages-first.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-day-in-two-messages-last.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1500, 1490, [-10]),
    ],
    "camt/korean-02-details-that-disagree.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-far-from-today.xml": [
        ("KR23MOCK0000000099", "KRW", "2199-12-31", 1000, 1500, [500]),
    ],
    "camt/korean-02-id-of-every-day.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-13", 1000, 1500, [500]),
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1500, 1490, [-10]),
    ],
    "camt/korean-02-issued-again.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-ksc5601.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-leading-newline.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-marks-before-and-behind.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-ms949.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-newest-first.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1490, [-10, 500]),
    ],
    "camt/korean-02-spaces-around-every-value.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-two-accounts-one-id.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
        ("110-20-300400", "KRW", "2026-02-16", 100, 50, [-50]),
    ],
    "camt/korean-02-uhc.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-02-utc-instants.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/korean-052-balances-that-explain-nothing.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-batch-named-by-pmtinfid.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-70526]),
    ],
    "camt/korean-052-charge-at-the-entry.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-1500, -26]),
    ],
    "camt/korean-052-cp949.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-details-that-disagree.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-euc-kr.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-id-of-every-report.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
        ("KR23MOCK0000000099", "KRW", None, None, None, [500, -20]),
    ],
    "camt/korean-052-issued-again.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-ksc5601.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-marks-before-and-behind.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-ms949.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-newest-first.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-10, 500]),
    ],
    "camt/korean-052-tag-in-the-remittance.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-052-two-accounts-one-id.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
        ("110-20-300400", "KRW", None, None, None, [-50]),
    ],
    "camt/korean-052-utc-instants.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-08-debits.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-43790, -26736]),
    ],
    "camt/korean-054-batch-named-by-msgid.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-70526]),
    ],
    "camt/korean-054-charge-at-the-transaction.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-1500, -26]),
    ],
    "camt/korean-054-cp949.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-details-that-disagree.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-euc-kr.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-id-of-every-day.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
        ("KR23MOCK0000000099", "KRW", None, None, None, [-10]),
    ],
    "camt/korean-054-issued-again.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [-500]),
    ],
    "camt/korean-054-ksc5601.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-marks-before-and-behind.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-ms949.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-tag-in-the-remittance.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-054-two-accounts-one-id.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
        ("110-20-300400", "KRW", None, None, None, [-50]),
    ],
    "camt/korean-054-utc-instants.xml": [
        ("KR23MOCK0000000099", "KRW", None, None, None, [500]),
    ],
    "camt/korean-08-euc-kr.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/korean-08-prefixed-in-an-envelope.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/korean-08-receipt-payout-return-pending.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/korean-08-reversal.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1000000, [95000, -95000]),
    ],
    "camt/korean-08-same-statement-twice.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/korean-08-two-pages.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-17", 1095000, 1190000, [95000]),
        ("KR23MOCK0000000099", "KRW", "2026-02-17", 1190000, 1146210, [-43790]),
    ],
    "camt/korean-08-utf16.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/korean-13-same-structure.xml": [
        ("KR23MOCK0000000099", "KRW", "2026-02-16", 1000000, 1095000, [95000, -43790, 43790]),
    ],
    "camt/nordic-02-overdraft-fx-charges.xml": [
        ("6001123456789", "SEK", "2026-02-16", -150000, -53000, [104500, -5000, -2500]),
    ],
    "camt/swiss-04-batches.xml": [
        ("CH9300762011623852957", "CHF", "2026-02-16", 250150, 239720, [10020, 4550, -25000]),
    ],
    "camt/swiss-054-04-credit-advice.xml": [
        ("CH9300762011623852957", "CHF", None, None, None, [10020, 4550]),
    ],
    "camt/swiss-08-closing-between-pages.xml": [
        ("CH9300762011623852957", "CHF", "2026-02-16", 1000, 1500, [500]),
    ],
    "camt/swiss-08-opening-between-pages.xml": [
        ("CH9300762011623852957", "CHF", "2026-02-16", 1500, 1490, [-10]),
    ],
    "csv/american-month-first.csv": [
        ("021000021", "USD", "2026-02-15", 102000, 101000, [-1000]),
        ("021000021", "USD", "2026-02-16", 101000, 101500, [500]),
    ],
    "csv/branch-batch-named.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 100000, 29474, [-70526]),
    ],
    "csv/branch-charge-in-its-own-column.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "csv/german-day-first-with-a-direction.csv": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 5000000, 9875050, [5000050, -125000]),
    ],
    "csv/german-last-two-digits-of-the-year.csv": [
        ("DE02120300000000202051", "EUR", "2026-02-16", 100000, 205000, [105000]),
    ],
    "csv/korean-cp949.csv": [
        ("110-123-456789", "KRW", "2026-02-13", 500000, 1500000, [1000000]),
        ("110-123-456789", "KRW", "2026-02-16", 1500000, 1429474, [-43790, -26736]),
    ],
    "csv/korean-far-from-today.csv": [
        ("110-123-456789", "KRW", "2199-12-31", 1000, 1500, [500]),
    ],
    "csv/korean-marks-before-and-behind.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 950000, 1000000, [50000]),
    ],
    "csv/korean-opposites-at-one-time.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 950000, 950000, [50000, -50000]),
    ],
    "csv/korean-opposites-by-time.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 1000000, 1000000, [-50000, 50000]),
    ],
    "csv/korean-opposites-without-times.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 950000, 950000, [50000, -50000]),
    ],
    "csv/korean-text-like-tags.csv": [
        ("110-123-456789", "KRW", "2026-02-16", 0, 5, [5]),
    ],
    "csv/korean-utf8-bom.csv": [
        ("110-123-456789", "KRW", "2026-02-13", 500000, 1500000, [1000000]),
        ("110-123-456789", "KRW", "2026-02-16", 1500000, 1429474, [-43790, -26736]),
    ],
    "csv/korean-utf8-newest-first.csv": [
        ("110-123-456789", "KRW", "2026-02-13", 500000, 1500000, [1000000]),
        ("110-123-456789", "KRW", "2026-02-16", 1500000, 1429474, [-43790, -26736]),
    ],
    "mt940/american-blank-entry-dates-and-zero-lines.sta": [
        ("123456789", "USD", "2026-02-16", 1737667, 1679500, [-21239, -36928]),
    ],
    "mt940/austrian-account-between-slashes.sta": [
        ("AT39364/12345678912", "EUR", "2026-02-16", 0, 100, [100]),
    ],
    "mt940/dutch-abn-headers-blank-line.sta": [
        ("517852257", "EUR", "2026-02-16", 323628, 332269, [-900, -1159, 10700]),
    ],
    "mt940/dutch-batch-named-by-pref.sta": [
        ("NL71RABO0123456789", "EUR", "2026-02-16", 100000, 93000, [-7000]),
    ],
    "mt940/dutch-blank-lines-in-a-text-and-a-wide-envelope.sta": [
        ("NL47INGB0001212121", "EUR", "2026-02-16", 10000, 9000, [-1000]),
    ],
    "mt940/dutch-ing-structured.sta": [
        ("NL69INGB0123456789", "EUR", "2026-02-16", 66223, 66436, [-100, 156, 157]),
    ],
    "mt940/dutch-no-reference.sta": [
        ("NL00ABNA0000000000", "EUR", "2026-02-16", 100000, 102500, [2500]),
    ],
    "mt940/dutch-pages-interim-only.sta": [
        ("NL69INGB0123456789", "EUR", "2026-02-16", 102500, 102000, [-500]),
    ],
    "mt940/dutch-pages-of-one-number.sta": [
        ("NL69INGB0123456789", "EUR", "2026-02-16", 100000, 102500, [2500]),
        ("NL69INGB0123456789", "EUR", "2026-02-16", 102500, 102000, [-500]),
    ],
    "mt940/dutch-rabobank-padded-two-statements.sta": [
        ("NL71RABO0123456789", "EUR", "2026-02-16", 100000, 96500, [-2500, -1000]),
        ("NL71RABO0123456789", "EUR", "2026-02-17", 96500, 96500, []),
    ],
    "mt940/dutch-several-86.sta": [
        ("NL71RABO0123456789", "EUR", "2026-02-16", 100000, 102000, [2500, -500]),
    ],
    "mt940/dutch-van-lanschot-marks.sta": [
        ("0878787878", "EUR", "2026-02-16", 10000, 15000, [5000]),
        ("0878787878", "EUR", "2026-02-16", 15000, 14900, [-100]),
    ],
    "mt940/german-across-the-new-year.sta": [
        ("12030000/0000202051", "EUR", "2026-01-02", 10000, 10000, [100, 200, -300]),
    ],
    "mt940/german-charge-of-its-own.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 8474, [-1500, -26]),
    ],
    "mt940/german-day-in-two-statements.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
        ("10020030/111", "EUR", "2026-02-16", 15000, 14000, [-1000]),
    ],
    "mt940/german-end-mark-with-a-space.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
        ("10020030/111", "EUR", "2026-02-17", 15000, 15500, [500]),
    ],
    "mt940/german-far-from-today.sta": [
        ("10020030/111", "EUR", "2079-12-31", 10000, 15000, [5000]),
    ],
    "mt940/german-issued-again.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
    ],
    "mt940/german-joined-by-ctrl-z.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
        ("10020030/111", "EUR", "2026-02-17", 15000, 15500, [500]),
    ],
    "mt940/german-spaces-behind-every-tag.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
    ],
    "mt940/german-mark-and-lines-before.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
    ],
    "mt940/german-newest-first.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 14000, [-1000, 5000]),
    ],
    "mt940/german-number-of-every-day.sta": [
        ("10020030/111", "EUR", "2026-02-13", 10000, 15000, [5000]),
        ("10020030/111", "EUR", "2026-02-16", 15000, 15500, [500]),
    ],
    "mt940/german-page-without-a-number.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
    ],
    "mt940/german-references-longer-than-they-may-be.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 8192, [-2000, 100, 92]),
    ],
    "mt940/german-space-before-the-type.sta": [
        ("10020030/111", "EUR", "2026-02-16", 0, 5000, [5000]),
    ],
    "mt940/german-sparkasse-gvc.sta": [
        ("12030000/0000202051", "EUR", "2026-02-16", 532244, 591232, [100000, -40062, -1200, 250]),
    ],
    "mt940/german-text-that-looks-like-every-tag.sta": [
        ("10020030/111", "EUR", "2026-02-16", 10000, 15000, [5000]),
    ],
    "mt940/german-thirtieth-of-february.sta": [
        ("12030000/0000202051", "EUR", "2026-02-27", 10000, 10058, [58]),
    ],
    "mt940/german-time-that-looks-like-a-tag.sta": [
        ("10020030/1111111111", "EUR", "2026-02-16", 100000, 95596, [-4404]),
    ],
    "mt940/german-two-accounts-one-reference.sta": [
        ("10020030/1111111111", "EUR", "2026-02-16", 100000, 102500, [2500]),
        ("10020030/2222222222", "EUR", "2026-02-16", 50000, 46000, [-4000]),
    ],
    "mt940/hungarian-non-swift-fields.sta": [
        ("1966315302010001", "HUF", "2026-02-16", 62731130, 62144930, [-240200, -346000]),
    ],
    "mt940/korean-cp949-won.sta": [
        ("110-123-456789", "KRW", "2026-02-16", 1000000, 1051210, [95000, -43790]),
    ],
    "mt940/line-without-a-type.sta": [
        ("110-123-456789", "KRW", "2026-02-16", 5000, 2000, [-2000, -1000]),
    ],
    "mt940/macedonian-letters-behind-the-direction.sta": [
        ("300000002778989", "MKD", "2026-02-16", 18572300, 25617800, [-324500, 7370000]),
    ],
    "mt940/mt942-cp949.sta": [
        ("110-123-456789", "KRW", None, None, None, [500]),
    ],
    "mt940/mt942-expected-and-booked.sta": [
        ("110-123-456789", "KRW", None, None, None, [500, -20]),
    ],
    "mt940/mt942-interim.sta": [
        ("110-123-456789", "KRW", None, None, None, [-2000]),
    ],
    "mt940/mt942-issued-again.sta": [
        ("110-123-456789", "KRW", None, None, None, [500]),
        ("110-123-456789", "KRW", None, None, None, [500, -20]),
    ],
    "mt940/mt942-mark-and-lines-before.sta": [
        ("110-123-456789", "KRW", None, None, None, [500]),
    ],
    "mt940/mt942-text-that-looks-like-tags.sta": [
        ("110-123-456789", "KRW", None, None, None, [500]),
    ],
    "mt940/mt942-totals-without-a-count.sta": [
        ("10020030/111", "EUR", None, None, None, [500]),
    ],
    "mt940/mt942-two-accounts-one-reference.sta": [
        ("110-123-456789", "KRW", None, None, None, [500]),
        ("110-20-300400", "KRW", None, None, None, [-50]),
    ],
    "mt940/nigerian-lines-without-a-type.sta": [
        ("1014365930", "NGN", "2026-02-16", 621305, 18728638, [22000000, -3892667]),
    ],
    "mt940/overdraft.sta": [
        ("110-123-456789", "KRW", "2026-02-16", -5000, -7000, [-2000]),
    ],
    "mt940/polish-wrapped-details.sta": [
        ("BPHKPLPK/320000546101", "PLN", "2026-02-16", 4000000, 5000000, [2000000, -1000000]),
    ],
    "mt940/swiss-postfinance-pages.sta": [
        ("123456789", "CHF", "2026-02-16", 0, 7970, [7970]),
        ("123456789", "CHF", "2026-02-16", 7970, 6980, [-990]),
    ],
}

REFUSED = {
    "camt/american-02-balances-in-a-banks-own-codes.xml": "line 4: the statement has not an opening balance (OPBD or P",
    "camt/camt052-intraday.xml": "line 3: the message holds no report",
    "camt/camt053-called-054.xml": "line 2: the namespace says [camt.054], the content is [camt.053]",
    "camt/dutch-02-escaped-for-a-program.xml": "line 1: not well-formed XML",
    "camt/dutch-02-one-of-two-contradicts.xml": "line 46: statement [CAMT053-2026-033-B] does not add up",
    "camt/empty.xml": "the message is empty",
    "camt/five-decimals-of-money-02.xml": "line 20: [27.00001] has more decimals than the 2 that EUR has in [Amt]",
    "camt/german-08-available-balances-that-explain-nothing.xml": "line 4: statement [S] does not add up: opening",
    "camt/german-08-balances-without-direction-that-are-debits.xml": "line 4: statement [S] does not add up: open",
    "camt/html-login-page.xml": "line 1: it carries a document type (DTD); no bank's message needs one",
    "camt/korean-02-absurd-batch-count.xml": "line 9: [99999999999] in [NbOfTxs] is more than is counted",
    "camt/korean-02-absurd-id.xml": "line 9: [FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF…] has 141 characters, more",
    "camt/korean-02-absurd-page.xml": "line 4: [99999999999] in [PgNb] is more than is counted",
    "camt/korean-02-absurd-sequence.xml": "line 4: [9223372036854775808] in [ElctrncSeqNb] is not a whole number",
    "camt/korean-02-absurd-text.xml": "line 10: [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…] has 10001 characters,",
    "camt/korean-02-absurd-turnover.xml": "line 4: statement [20260216] holds more money than eighteen digits",
    "camt/korean-02-absurd-year.xml": "line 8: [0001-01-01T00:00:00+14:00] in [DtTm] is not a date",
    "camt/korean-02-before-any-bank.xml": "line 5: [1969-12-31] in [Dt] is not a date",
    "camt/korean-02-euc-kr-with-a-broken-byte.xml": "it declares [EUC-KR] and byte 883 is no character of it",
    "camt/korean-02-leading-newline-wrong-amount.xml": "line 10: [5oo] is not an unsigned decimal number in [Amt]",
    "camt/korean-02-no-account.xml": "line 4: [Stmt] has no Acct/Id/IBAN or",
    "camt/korean-02-no-id.xml": "line 4: [Stmt] has no Id",
    "camt/korean-052-absurd-count.xml": "line 5: [99999999999] in [NbOfTxs] is more than is counted",
    "camt/korean-052-absurd-year.xml": "line 5: [9999-12-31T23:59:59-14:00] in [DtTm] is not a date",
    "camt/korean-052-no-id.xml": "line 4: [Rpt] has no Id",
    "camt/korean-054-absurd-amount.xml": "line 5: [9223372036854775808] has more than eighteen digits",
    "camt/korean-054-absurd-count.xml": "line 5: [99999999999] in [NbOfTxs] is more than is counted",
    "camt/korean-054-absurd-year.xml": "line 5: [0001-01-01] in [Dt] is not a date",
    "camt/korean-054-no-id.xml": "line 4: [Ntfctn] has no Id",
    "camt/korean-08-doctype.xml": "line 1: it carries a document type (DTD); no bank's message needs one",
    "camt/korean-08-dollars-on-a-won-account.xml": "line 27: an entry in [USD] stands on an account in [KRW]",
    "camt/korean-08-entry-missing.xml": "line 8: statement [STM-KR-0017] does not add up",
    "camt/korean-08-negative-amount.xml": "line 28: [-95000] is not an unsigned decimal number in [Amt]",
    "camt/korean-08-no-closing.xml": "line 8: the statement has not a closing balance (CLBD or ITBD)",
    "camt/korean-08-thirtieth-of-february.xml": "line 32: [2026-02-30] in [Dt] is not a date",
    "camt/korean-08-truncated.xml": "line 49: not well-formed XML: expected '>', line 49, column 1",
    "camt/korean-08-two-statements-of-one-name.xml": "statement [STM-KR-0017] stands in it twice",
    "camt/korean-08-won-with-cents.xml": "line 23: [1095000.50] has more decimals than the 0 that KRW has in [Amt",
    "camt/nordic-02-summary-counts-wrong.xml": "line 27: [TtlNtries] counts [4] entries, there are [2]",
    "camt/not-xml.xml": "line 1: it begins neither as XML nor as an MT940; for a CSV, statement_columns of",
    "camt/swiss-04-batch-count-differs.xml": "line 39: a batch counts [3] transactions and holds [2]",
    "camt/swiss-04-batch-sum-differs.xml": "line 39: a batch of [14570] holds transactions of [14525]",
    "camt/swiss-054-04-batch-count-differs.xml": "line 23: a batch counts [3] transactions and holds [2]",
    "csv/american-month-that-is-none.csv": "line 2: [16/02/2026] is not a date",
    "csv/american-quoted-column-missing.csv": "line 1: of the declared columns, the header lacks ['Balance']; wit",
    "csv/german-neither-debit-nor-credit.csv": "line 2: [X] in [Soll/Haben] is none of ['S', 'H']",
    "csv/german-no-balance-column.csv": "line 1: of the declared columns, the header lacks ['Saldo']; without running ",
    "csv/korean-absurd-amount.csv": "line 3: [9999999999999999999] has more than eighteen digits",
    "csv/korean-absurd-balance.csv": "line 3: [9223372036854775808] has more than eighteen digits",
    "csv/korean-absurd-reference.csv": "line 3: [9999999999999999999999999999999999999999…] has 141 characters, m",
    "csv/korean-absurd-text.csv": "line 3: [이체 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…] has 10004 characters, more th",
    "csv/korean-absurd-year.csv": "line 3: [0001-02-16] is no date of a statement",
    "csv/korean-charge-told-nowhere.csv": "line 4: the balance of a row does not follow from the row before it",
    "csv/korean-issued-again.csv": "line 4: the balance of a row does not follow from the row before it",
    "csv/korean-no-account.csv": "no line above the header names the account behind [계좌번호]",
    "csv/korean-no-rows.csv": "the export holds no movement, so nothing in it proves a balance",
    "csv/korean-other-columns.csv": "line 5: of the declared columns, the header lacks ['거래후잔액']; without running",
    "csv/korean-row-missing.csv": "line 7: the balance of a row does not follow from the row before it",
    "csv/korean-thirtieth-of-february.csv": "line 8: [2026.02.30 10:00:01] is not a date",
    "csv/korean-thousands-in-the-wrong-place.csv": "line 7: [437,90] is not an amount",
    "csv/korean-total-differs.csv": "line 9: the total of [출금액] is [70,527], the rows sum to [70526]",
    "mt940/absurd-reference.sta": "line 1: [RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR…] has 156 characters, more t",
    "mt940/absurd-text.sta": "line 6: [Anfang xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…] has 10038 characters, more than",
    "mt940/amount-with-two-commas.sta": "line 5: [2.000.] is not an unsigned decimal number",
    "mt940/dead-currency.sta": "line 4: Currency [DEM] is not an active code of ISO 4217",
    "mt940/does-not-add-up.sta": "line 1: statement [REF:1:2026-02-16] does not add up",
    "mt940/expected-not-booked.sta": "line 5: [2602160216EC2000,NTRFNONREF] is not a statement line",
    "mt940/german-absurd-amount.sta": "line 5: [2602160216C99999999999999999,00NTRFNONRE] has an amount that goes on b",
    "mt940/german-absurd-number.sta": "line 3: [99999999999999999999] is not the number of a statement",
    "mt940/german-absurd-page.sta": "line 3: [1/99999999999] is not the number of a statement",
    "mt940/german-absurd-total.sta": "line 6: :90C: says [99999] entries of [5000], there are [1] of [5000]",
    "mt940/german-dot-between-thousands.sta": "line 5: [2602160216C1.000,00NTRFNONREF] has an amount that goes on behi",
    "mt940/german-empty-account.sta": "line 2: the statement names no account",
    "mt940/german-entry-on-the-thirtieth-of-february.sta": "line 5: [0230] is not a day of a year",
    "mt940/german-next-begins-inside-a-text.sta": "line 1: the statement has 0 fields :62F: or :62M:, not one",
    "mt940/german-no-28.sta": "line 1: the statement has 0 fields :28: or :28C:, not one",
    "mt940/german-no-account.sta": "line 1: the statement has 0 fields :25: or :25P:, not one",
    "mt940/german-no-number-at-all.sta": "line 3: [] is not the number of a statement",
    "mt940/german-only-a-balance.sta": "line 1: field :60F: stands before the first :20:",
    "mt940/german-only-lines.sta": "line 1: field :61: stands before the first :20:",
    "mt940/korean-totals-wrong.sta": "line 7: :90C: says [2] entries of [95000], there are [1] of [95000]",
    "mt940/korean-won-with-jeon.sta": "line 6: [1095000.50] has more decimals than the 0 that KRW has",
    "mt940/lines-before-the-statement.sta": "line 1: field :61: stands before the first :20:",
    "mt940/mt942-absurd-amount.sta": "line 6: [2602160216C9999999999999999999,NTRFNONRE] has an amount that goes on b",
    "mt940/mt942-beside-a-statement.sta": "line 8: it holds statements and reports (MT942) together",
    "mt940/mt942-no-currency.sta": "line 1: the report has no field :34F: that names its currency",
    "mt940/mt942-no-number.sta": "line 1: the statement has 0 fields :28: or :28C:, not one",
    "mt940/mt942-totals-wrong.sta": "line 7: :90C: says [2] entries of [500], there are [1] of [500]",
    "mt940/no-closing-balance.sta": "line 1: the statement has 0 fields :62F: or :62M:, not one",
    "mt940/two-currencies.sta": "line 1: the balances are in [KRW] and [USD]",
}


def read(name: str) -> Reading:
    content = (CORPUS / name).read_bytes()
    columns = EXPORTS[Path(name).stem.split("-")[0]] if name.endswith(".csv") else None
    return reading.read_content(content, columns=columns, zone=SEOUL)


@pytest.mark.parametrize("name", READ)
def test_a_good_file_says_exactly_this(name: str) -> None:
    said: list[Said] = []
    told = read(name)
    assert not isinstance(told, FileAnswer)
    for found in told:
        assert isinstance(found, Statement | Notification)
        amounts = [line.amount for line in found.lines]
        if isinstance(found, Statement):
            day = found.business_date.isoformat()
            said.append((found.account, found.currency, day, found.opening, found.closing, amounts))
            assert found.opening + sum(amounts) == found.closing
        else:
            said.append((found.account, found.currency, None, None, None, amounts))
    assert said == READ[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_for_exactly_this(name: str) -> None:
    with pytest.raises(UnreadableMessage) as refusal:
        read(name)
    assert str(refusal.value).startswith(REFUSED[name])


def test_every_file_of_the_corpus_has_its_outcome() -> None:
    files = {str(path.relative_to(CORPUS)) for path in CORPUS.rglob("[!.]*.*")}
    assert files == READ.keys() | REFUSED.keys()


def test_a_file_in_another_dress_says_the_same() -> None:
    names = ["receipt-payout-return-pending", "utf16", "euc-kr", "prefixed-in-an-envelope", "same-statement-twice"]
    keys = {parts(read(f"camt/korean-08-{name}.xml"), Statement)[0].content_key for name in names}
    assert len(keys) == 1
    exports = [parts(read(f"csv/korean-{name}.csv"), Statement) for name in ("cp949", "utf8-bom", "utf8-newest-first")]
    assert len({tuple(day.content_key for day in export) for export in exports}) == 1


def test_what_banks_tell_beside_the_amount_is_found_in_each_dialect() -> None:
    def told(name: str) -> list[tuple[str | None, str | None, bool, bool, str | None]]:
        return [
            (line.end_to_end_id, line.reference, line.is_return, line.is_charge, line.reason)
            for found in parts(read(name), Statement)
            for line in found.lines
        ]

    assert told("camt/german-02-return-with-charges.xml") == [
        ("RE-2026-0815", None, False, False, None),
        ("LS-0042", None, True, False, "AC04"),
        (None, None, False, True, None),
    ]
    assert told("mt940/german-sparkasse-gvc.sta") == [
        ("RE-2026-0815", "K-77", False, False, None),
        (None, None, False, False, None),
        (None, None, True, False, None),
        (None, None, False, True, None),
    ]
    assert told("mt940/dutch-ing-structured.sta") == [
        ("EV12345REP1231456T1234", None, False, False, None),
        ("S260213-1-A-EUR-1-1", None, True, False, "AC04"),
        (None, None, False, False, None),
    ]
    assert told("mt940/korean-cp949-won.sta") == [
        (None, "VA-000123", False, False, None),
        ("S260216-1-A-KRW-1-1", None, False, False, None),
    ]
    assert told("camt/swiss-04-batches.xml") == [
        (None, "210000000003139471430009017", False, False, None),
        (None, "210000000003139471430009024", False, False, None),
        (None, None, False, False, None),
    ]
