"""Writing small camt files for tests: everything that a test does not name is plain and right."""

from collections.abc import Sequence

ACCOUNT = "KR23MOCK0000000099"


def balance(code: str, amount: str, day: str = "2026-02-16", *, sign: str = "CRDT", currency: str = "KRW") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>'
    )


def entry(
    amount: str,
    sign: str = "CRDT",
    *details: str,
    currency: str = "KRW",
    status: str = "<Cd>BOOK</Cd>",
    day: str = "<Dt>2026-02-16</Dt>",
    more: str = "",
    batch: str = "",
) -> str:
    told = f"<NtryDtls>{batch}{''.join(details)}</NtryDtls>" if details or batch else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt>{day}</BookgDt>{more}{told}</Ntry>"
    )


def detail(end_to_end_id: str = "", amount: str = "", *, sign: str = "", currency: str = "KRW", more: str = "") -> str:
    refs = f"<Refs><EndToEndId>{end_to_end_id}</EndToEndId></Refs>" if end_to_end_id else ""
    stated = f'<Amt Ccy="{currency}">{amount}</Amt>' if amount else ""
    direction = f"<CdtDbtInd>{sign}</CdtDbtInd>" if sign else ""
    return f"<TxDtls>{refs}{stated}{direction}{more}</TxDtls>"


def statement(
    *entries: str,
    opening: str = "1000",
    closing: str = "1000",
    name: str = "S-1",
    balances: Sequence[str] | None = None,
    more: str = "",
    after: str = "",
    currency: str = "KRW",
) -> str:
    if balances is None:
        balances = (balance("OPBD", opening, currency=currency), balance("CLBD", closing, currency=currency))
    return (
        f"<Stmt><Id>{name}</Id><ElctrncSeqNb>7</ElctrncSeqNb>{more}<Acct><Id><IBAN>{ACCOUNT}</IBAN></Id>"
        f"<Ccy>{currency}</Ccy></Acct>{''.join(balances)}{after}{''.join(entries)}</Stmt>"
    )


def camt053(*statements: str, version: str = "08", header: str = "") -> bytes:
    return _document("camt.053", "BkToCstmrStmt", statements, version, header)


def camt054(*entries: str, version: str = "08", name: str = "N-1") -> bytes:
    notification = (
        f"<Ntfctn><Id>{name}</Id><CreDtTm>2026-02-16T18:00:00</CreDtTm><Acct><Id><IBAN>{ACCOUNT}</IBAN></Id></Acct>"
        f"{''.join(entries)}</Ntfctn>"
    )
    return _document("camt.054", "BkToCstmrDbtCdtNtfctn", [notification], version, "")


def _document(kind: str, body: str, parts: Sequence[str], version: str, header: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{kind}.001.{version}">\n'
        f"<{body}><GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-02-16T18:00:00</CreDtTm>{header}</GrpHdr>\n"
        f"{chr(10).join(parts)}\n</{body}></Document>\n"
    ).encode()
