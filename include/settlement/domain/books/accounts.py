"""The chart of accounts (rules, section 6): what each account holds, on which side it stands, and which events move it.

An account is named by its kind alone, or by kind and subject: `investor_payable:I1`. Amounts are whole minor units of
one currency, debits positive, credits negative; every account exists once for each currency that moves it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """The side on which an account normally stands."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account of the chart, or one for each subject of the kind `of`: loan, investor, refund."""

    name: str
    holds: str
    side: Side
    moved_by: tuple[str, ...]
    of: str | None = None

    def __call__(self, subject_id: str) -> str:
        """Return the name of the subject's account: `INVESTOR_PAYABLE("I1")` is `investor_payable:I1`."""
        assert self.of is not None, f"[{self.name}] is one account, not one for each subject"
        return f"{self.prefix}{subject_id}"

    @property
    def prefix(self) -> str:
        """How the names of its accounts begin."""
        return f"{self.name}:"

    def subject_of(self, account: str) -> str:
        """Return the subject of one of its accounts: `I1` of `investor_payable:I1`."""
        return account.removeprefix(self.prefix)


LINES = ("line_matched", "suspense_resolved", "tolerance_booked")
"""The events of a statement line that turned out to be something of ours."""

PREPARED = ("payout_prepared", "payout_rejected", "payout_returned")

DISTRIBUTED = ("repayment_distributed", "credit_applied", "repayment_reversed")

REFUNDED = ("refund_ordered", "refund_undone")

CLIENT_BANK = Account(
    name="client_bank",
    holds="the custody account as its statements show it; statement lines move it and nothing else does",
    side=Side.DEBIT,
    moved_by=("opening", "line_matched", "line_suspended", "bank_charge", "bank_interest", "remitted"),
)
OPENING_BALANCE = Account(
    name="opening_balance",
    holds="what the custody account held before the first statement, less what the opening positions explain of it",
    side=Side.CREDIT,
    moved_by=("opening", "opening_position"),
)
RECEIPTS_IN_TRANSIT = Account(
    name="receipts_in_transit",
    holds="repayments that were taken and that no statement has shown",
    side=Side.DEBIT,
    moved_by=("opening_position", "repayment_extracted", "repayment_reversed", *LINES, "written_off"),
)
REPAYMENTS_UNALLOCATED = Account(
    name="repayments_unallocated",
    holds="money of borrowers that was taken and not distributed: quarantined money stays here",
    side=Side.CREDIT,
    moved_by=("opening_position", "repayment_extracted", "repayment_distributed", "repayment_reversed"),
)
INVESTOR_PAYABLE = Account(
    name="investor_payable",
    holds="what an investor is owed; payouts are made of it; a debit balance is worked off by later credits",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, *PREPARED, "written_off"),
    of="investor",
)
BORROWER_CREDIT = Account(
    name="borrower_credit",
    holds="money of a loan that no due receivable wanted",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, *REFUNDED),
    of="loan",
)
BORROWER_PAYABLE = Account(
    name="borrower_payable",
    holds="held credit that goes back to the borrower; payouts are made of it; a debit balance is owed by the borrower",
    side=Side.CREDIT,
    moved_by=(*REFUNDED, "repayment_reversed", *PREPARED, "written_off"),
    of="refund",
)
FEE_INCOME = Account(
    name="fee_income",
    holds="the platform's fees that are still in the custody account",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, "remitted", "suspense_resolved"),
)
VAT_PAYABLE = Account(
    name="vat_payable",
    holds="value added tax on fees that was not handed on",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, "remitted", "suspense_resolved"),
)
TAX_PAYABLE_NATIONAL = Account(
    name="tax_payable:national",
    holds="national income tax that was withheld and not handed on",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, "remitted", "suspense_resolved"),
)
TAX_PAYABLE_LOCAL = Account(
    name="tax_payable:local",
    holds="local income tax that was withheld and not handed on",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, "remitted", "suspense_resolved"),
)
COST_RECOVERED = Account(
    name="cost_recovered",
    holds="costs that borrowers paid back to the platform and that are still in the custody account",
    side=Side.CREDIT,
    moved_by=("opening_position", *DISTRIBUTED, "remitted", "suspense_resolved"),
)
PAYOUTS_IN_TRANSIT = Account(
    name="payouts_in_transit",
    holds="payouts that were prepared and that no statement has shown",
    side=Side.CREDIT,
    moved_by=("opening_position", *PREPARED, *LINES),
)
SUSPENSE = Account(
    name="suspense",
    holds="statement lines of which nobody knows yet what they are",
    side=Side.CREDIT,
    moved_by=("opening_position", "line_suspended", "suspense_resolved", "written_off"),
)
DIFFERENCE = Account(
    name="difference",
    holds="differences within the policy's tolerance, and what people wrote off",
    side=Side.DEBIT,
    moved_by=("tolerance_booked", "written_off"),
)
BANK_CHARGES = Account(
    name="bank_charges",
    holds="what the bank charged",
    side=Side.DEBIT,
    moved_by=("bank_charge", "suspense_resolved"),
)
BANK_INTEREST = Account(
    name="bank_interest",
    holds="what the bank paid on the custody account",
    side=Side.CREDIT,
    moved_by=("bank_interest", "suspense_resolved"),
)

CHART = (
    CLIENT_BANK,
    OPENING_BALANCE,
    RECEIPTS_IN_TRANSIT,
    REPAYMENTS_UNALLOCATED,
    INVESTOR_PAYABLE,
    BORROWER_CREDIT,
    BORROWER_PAYABLE,
    FEE_INCOME,
    VAT_PAYABLE,
    TAX_PAYABLE_NATIONAL,
    TAX_PAYABLE_LOCAL,
    COST_RECOVERED,
    PAYOUTS_IN_TRANSIT,
    SUSPENSE,
    DIFFERENCE,
    BANK_CHARGES,
    BANK_INTEREST,
)
"""Every account that there is."""


class PayeeKind(StrEnum):
    """Who is paid out. The ledger keeps the same words."""

    INVESTOR = "investor"
    BORROWER = "borrower"
    """Of one refund, which names whom to pay: its id is the payee's."""

    @property
    def payable(self) -> Account:
        """The accounts from which payouts of this kind are made."""
        return BORROWER_PAYABLE if self is PayeeKind.BORROWER else INVESTOR_PAYABLE


class Remittance(StrEnum):
    """What is kept back of investors' money and handed on. The reporting views keep the same words."""

    NATIONAL_TAX = "national_tax"
    LOCAL_TAX = "local_tax"
    VAT = "vat"
    FEE = "fee"
    COST = "cost"

    @property
    def account(self) -> Account:
        """Where it stands until it leaves the custody account."""
        return _HELD_ON[self]


_HELD_ON = {
    Remittance.NATIONAL_TAX: TAX_PAYABLE_NATIONAL,
    Remittance.LOCAL_TAX: TAX_PAYABLE_LOCAL,
    Remittance.VAT: VAT_PAYABLE,
    Remittance.FEE: FEE_INCOME,
    Remittance.COST: COST_RECOVERED,
}

REMITTED = (FEE_INCOME, VAT_PAYABLE, TAX_PAYABLE_NATIONAL, TAX_PAYABLE_LOCAL, COST_RECOVERED)
"""Accounts whose money leaves the custody account when it is handed on: fees and costs to us, taxes to the office."""


def account_of(name: str) -> Account:
    """Return the account of the chart that a name belongs to.

    Raises KeyError: no account of the chart has this name; the name is in the error.
    """
    for account in CHART:
        if name == account.name if account.of is None else name.startswith(account.prefix):
            return account
    raise KeyError(name)
