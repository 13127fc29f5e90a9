"""The company's settlement policy: one effective-dated TOML file, checked before anything is computed with it.

`load(path)` gives a frozen `Policy` or raises `InvalidPolicy`, which names the key, the value and what is allowed.
Rates are parts per million, money is whole minor units, dates are inclusive on both ends. The policy that settled
a day is identified by `name` and `sha256` (of the file's bytes), which stand in that day's record.
"""

import hashlib
import re
import tomllib
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from settlement.domain.alerts.event import Severity
from settlement.domain.alerts.routing import Language
from settlement.domain.books.accounts import Remittance
from settlement.domain.currencies import LARGEST_AMOUNT
from settlement.domain.days import LARGEST_CATCH_UP, LONGEST_LOOK_BACK, BankCalendar
from settlement.domain.errors import InvalidPolicy

Component = Literal["cost", "late_interest", "interest", "principal"]
COMPONENTS: tuple[Component, ...] = ("cost", "late_interest", "interest", "principal")
TAXED_COMPONENTS: tuple[Component, ...] = ("late_interest", "interest")

MILLION = 1_000_000
Ppm = Annotated[int, Field(ge=0, le=MILLION, strict=True)]
Amount = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
CODE, CLOCK, CUT_OFF = r"^[A-Z]{3}$", r"^([01][0-9]|2[0-3]):[0-5][0-9]$", r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
OURS, WRITTEN = r"^[^{}]*\{number(:0[1-9][0-9]?)?\}[^{}]*$", r"^[^{}]*\{number\}[^{}]*$"
ALLOWED_TEXTS = {
    CODE: "a currency is three capital letters (ISO 4217), such as KRW",
    CLOCK: "a time of day is HH:MM, from 00:00 to 23:59",
    CUT_OFF: "a cut-off is HH:MM, from 00:00 to 24:00 (the end of the day)",
    OURS: "a text with {number} in it once, or {number:06} where the source writes six digits, such as INV-{number:06}",
    WRITTEN: "a text with {number} in it once, such as Invoice #{number}",
}
Currency = Annotated[str, Field(pattern=CODE)]
ClockTime = Annotated[str, Field(pattern=CLOCK)]
CutOff = Annotated[str, Field(pattern=CUT_OFF)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Override(_Table):
    date: date
    business: bool
    reason: str = ""
    by: str = ""


class Calendar(_Table):
    country: str = "KR"
    categories: tuple[str, ...] = ("public", "bank")
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        BankCalendar(self.country, self.categories).check()
        return self


class Waterfall(_Table):
    across: Literal["component", "installment"] = "component"
    order: tuple[Component, ...] = COMPONENTS
    excess: Literal["hold", "advance_principal", "advance"] = "hold"

    @field_validator("order")
    @classmethod
    def _every_component_once(cls, order: tuple[Component, ...]) -> tuple[Component, ...]:
        if sorted(order) != sorted(COMPONENTS):
            raise ValueError(f"each of {list(COMPONENTS)} must stand in it exactly once")
        return order


class Fee(_Table):
    name: str = Field(min_length=1)
    on: tuple[Component, ...] = Field(min_length=1)
    rate_ppm: Ppm
    vat_ppm: Ppm = 0
    settled_from: date | None = None
    settled_until: date | None = None

    def is_charged_on(self, settlement_date: date) -> bool:
        """Tell whether the fee is charged on such a day (both bounds inclusive)."""
        return (self.settled_from is None or self.settled_from <= settlement_date) and (
            self.settled_until is None or settlement_date <= self.settled_until
        )

    @field_validator("on")
    @classmethod
    def _distributed_components(cls, on: tuple[Component, ...]) -> tuple[Component, ...]:
        if "cost" in on:
            raise ValueError("[cost] belongs to the platform and is not distributed, so no fee can be charged on it")
        if len(set(on)) != len(on):
            raise ValueError("a component stands in it twice")
        return on


class TaxRule(_Table):
    tax_class: str = Field(min_length=1)
    disbursed_from: date | None = None
    disbursed_until: date | None = None
    settled_from: date | None = None
    settled_until: date | None = None
    rate_ppm: Ppm
    de_minimis: Amount = 0

    def covers(self, *, tax_class: str, disbursed_on: date, settlement_date: date) -> bool:
        """Tell whether this rule is the one for such an investor, loan and day (all bounds inclusive)."""
        return (
            self.tax_class == tax_class
            and (self.disbursed_from is None or self.disbursed_from <= disbursed_on)
            and (self.disbursed_until is None or disbursed_on <= self.disbursed_until)
            and (self.settled_from is None or self.settled_from <= settlement_date)
            and (self.settled_until is None or settlement_date <= self.settled_until)
        )


class Withholding(_Table):
    unit: Annotated[int, Field(ge=1, lt=2**31, strict=True)] = 1
    local_ppm: Ppm = 0
    rules: tuple[TaxRule, ...] = ()


class Payouts(_Table):
    minimum: Annotated[int, Field(ge=1, lt=2**63, strict=True)] = 1
    maximum: Annotated[int, Field(ge=1, le=LARGEST_AMOUNT, strict=True)] = 1_000_000_000
    max_per_file: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 10_000

    @model_validator(mode="after")
    def _a_payout_can_exist(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum [{self.minimum}] is above maximum [{self.maximum}]")
        return self


class Gate(_Table):
    needs: Literal["statement", "ledger"] = "statement"
    wait_until: ClockTime = "10:00"
    breaks: tuple[str, ...] = ("duplicate_line", "amount_differs")
    limit: dict[Currency, Amount] = {}
    usual_percent: Annotated[int, Field(ge=100, le=1_000_000, strict=True)] | None = None


class Approval(_Table):
    limit: dict[Currency, Amount] = {}
    approvers: tuple[str, ...] = ("checker",)
    timeout_hours: Annotated[float, Field(gt=0)] = 12
    command_line: bool = True

    @model_validator(mode="after")
    def _somebody_can_approve(self) -> Self:
        if self.limit and not self.approvers:
            raise ValueError("a limit needs at least one approver in [approvers]")
        return self


Remitted = Literal["fee_income", "vat_payable", "tax_payable:national", "tax_payable:local", "cost_recovered"]
"""An account whose money leaves the bank account when it is handed on: to us, or to the tax office."""


class References(_Table):
    ours: Annotated[str, Field(pattern=OURS)]
    written: tuple[Annotated[str, Field(pattern=WRITTEN)], ...] = ()


class Matching(_Table):
    tolerance: dict[Currency, Amount] = {}
    tolerance_ppm: dict[Currency, Ppm] = {}
    write_off_limit: dict[Currency, Amount] = {}
    within_business_days: Annotated[int, Field(ge=0, le=30, strict=True)] = 3
    shared_within_business_days: Annotated[int, Field(ge=0, le=30, strict=True)] = 10
    references: tuple[References, ...] = ()
    remitted_to: dict[Remitted, tuple[str, ...]] = {}


class Source(_Table):
    look_back_days: Annotated[int, Field(ge=1, le=LONGEST_LOOK_BACK, strict=True)] = 400


class Schedule(_Table):
    catch_up: Annotated[int, Field(ge=1, le=LARGEST_CATCH_UP, strict=True)] = 10


class Deadlines(_Table):
    settled_by: ClockTime = "12:00"
    break_business_days: Annotated[int, Field(ge=0, le=250, strict=True)] = 5


class DueDay(_Table):
    months: Literal[1, 2, 3, 4, 6, 12] = 1
    due_day: Annotated[int, Field(ge=1, le=31, strict=True)]


class AlertChannel(_Table):
    id: str = Field(min_length=1)
    severities: tuple[Severity, ...] = tuple(Severity)
    language: Language | None = None
    backfills: bool = False


class Alerts(_Table):
    language: Language = "ko"
    channels: tuple[AlertChannel, ...] = ()
    email_to: tuple[str, ...] = ()
    mention: str = ""


class Policy(_Table):
    name: str = Field(min_length=1)
    version: str = ""
    timezone: str = "Asia/Seoul"
    cut_off: CutOff = "24:00"
    run_at: ClockTime = "06:00"
    first_settlement_date: date | None = None
    last_settlement_date: date | None = None
    calendar: Calendar = Calendar()
    waterfall: Waterfall = Waterfall()
    fees: tuple[Fee, ...] = ()
    withholding: dict[Currency, Withholding] = {}
    payouts: dict[Currency, Payouts] = {}
    gate: Gate = Gate()
    approval: Approval = Approval()
    matching: Matching = Matching()
    source: Source = Source()
    schedule: Schedule = Schedule()
    deadlines: Deadlines = Deadlines()
    remittances: dict[Remittance, DueDay] = {}
    alerts: Alerts = Alerts()

    _content: bytes = PrivateAttr(default=b"")

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hex."""
        return hashlib.sha256(self._content).hexdigest()

    @property
    def content(self) -> bytes:
        """The bytes of the file that it was read from; none where it was made otherwise."""
        return self._content

    @property
    def currencies(self) -> tuple[str, ...]:
        """The currencies that this policy names, in order: those it pays out in or withholds tax in."""
        return tuple(sorted(set(self.payouts) | set(self.withholding)))

    def tax_rules(self, *, currency: str, tax_class: str, disbursed_on: date, settlement_date: date) -> list[TaxRule]:
        """Return every withholding rule that covers the case; anything but exactly one refuses the loan."""
        table = self.withholding.get(currency)
        return [
            rule
            for rule in (table.rules if table else ())
            if rule.covers(tax_class=tax_class, disbursed_on=disbursed_on, settlement_date=settlement_date)
        ]

    def fees_on(self, settlement_date: date) -> tuple[Fee, ...]:
        """Return the fees that are charged on a settlement date, in the order of the file."""
        return tuple(fee for fee in self.fees if fee.is_charged_on(settlement_date))

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("an IANA time zone such as Asia/Seoul is needed") from error
        return timezone

    @model_validator(mode="after")
    def _first_before_last(self) -> Self:
        first, last = self.first_settlement_date, self.last_settlement_date
        if first and last and first > last:
            raise ValueError(f"first_settlement_date [{first}] is after last_settlement_date [{last}]")
        return self

    @model_validator(mode="after")
    def _a_share_covers_its_deductions(self) -> Self:
        """Fee, VAT and tax never exceed a share (rules, section 4): proven for the exact rates, before flooring."""
        begins = {date.min, *(fee.settled_from for fee in self.fees if fee.settled_from)}
        for component in COMPONENTS:
            # Every date on which most is charged begins a fee, or has all the fees that no date begins.
            fees = max(
                sum(
                    (
                        Fraction(fee.rate_ppm * (MILLION + fee.vat_ppm), MILLION**2)
                        for fee in self.fees_on(on)
                        if component in fee.on
                    ),
                    Fraction(0),
                )
                for on in begins
            )
            tax, where = Fraction(0), "no tax"
            if component in TAXED_COMPONENTS:
                for currency, table in self.withholding.items():
                    for rule in table.rules:
                        rate = Fraction(rule.rate_ppm * (MILLION + table.local_ppm), MILLION**2)
                        if rate > tax:
                            tax, where = rate, f"withholding.{currency} for {rule.tax_class}"
            if fees + tax > 1:
                raise ValueError(
                    f"fees, VAT and tax on [{component}] come to {float(fees + tax):.2%} of a share ({where}); "
                    "they may not exceed 100%"
                )
        return self


def load(path: str | Path) -> Policy:
    """Read, check and return the policy at `path`.

    Raises InvalidPolicy: the file is missing, is not TOML, or a key is unknown, missing or out of bounds.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidPolicy(
            f"Policy file [{file}] cannot be read ({error.strerror}): set SETTLEMENT_POLICY to an existing file"
        ) from error
    return parse(content, source=str(file))


def parse(content: bytes, *, source: str = "policy") -> Policy:
    """Return the policy that the bytes of a TOML file hold.

    Raises InvalidPolicy: as `load`.
    """
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidPolicy(f"Policy file [{source}] is not valid TOML: {error}") from error
    try:
        policy = Policy.model_validate(raw)
    except ValidationError as error:
        raise InvalidPolicy(f"Policy file [{source}] does not validate:\n" + _problems(error)) from error
    policy._content = content
    return policy


def _problems(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "(file)"
        message = re.sub(r"^Value error, ", "", problem["msg"])
        if problem["type"] == "string_pattern_mismatch":
            message = ALLOWED_TEXTS[problem["ctx"]["pattern"]]
        if problem["type"] == "extra_forbidden":
            message = "no such key; the allowed keys are written out in include/settlement/policies/kr.toml"
        value = (
            ""
            if problem["type"] in ("missing", "value_error") and not problem["loc"]
            else f" [{problem['input']!r:.80}]"
        )
        lines.append(f"  {key}{value}: {message}")
    return "\n".join(lines)
