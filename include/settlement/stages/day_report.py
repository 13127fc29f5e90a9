"""The report of a day for finance, read from the books: identities, shares, payouts, breaks, taxes, the journal."""

from datetime import date

from settlement.domain.day_report import DayReport, Sheet
from settlement.domain.errors import Refused
from settlement.ports.books import Books
from settlement.ports.close import ReportTable, Revision
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import extract, standing

KEPT = tuple(name for name in standing.TOTALS if name not in ("repayment_count", "received_amount"))


def day_report(services: Services, books: Books, on: date) -> DayReport:
    """Return the tables of a settled day.

    Raises Refused: the day was never computed.
    """
    found = books.close.revision(on)
    if found is None:
        raise Refused(f"[{on}] was never computed: there is nothing to report")
    return DayReport(
        settlement_date=on,
        revision=found.revision,
        sheets=(
            _summary(services, books, on, found),
            *(_sheet(name, books.close.report_table(name, on)) for name in ("shares", "payouts", "refunds", "breaks")),
            _taxes(services, books, on, found),
            _sheet("journal", books.close.report_table("journal", on)),
        ),
    )


def totals_of_day(services: Services, books: Books, on: date) -> DayReport:
    """Return the tables of a settled day that name nobody, for people who need no login to see them.

    Raises Refused: the day was never computed, or its frozen inputs are not there.
    """
    found = books.close.revision(on)
    if found is None:
        raise Refused(f"[{on}] was never computed: there is nothing to report")
    sheets = (_summary(services, books, on, found), _taxes(services, books, on, found))
    return DayReport(settlement_date=on, revision=found.revision, sheets=sheets)


def _summary(services: Services, books: Books, on: date, revision: Revision) -> Sheet:
    """The day on one page: what came in, where it went, what each side has, and what it was computed with."""
    rows: list[tuple[str, str, str | int]] = []
    for totals in books.days.totals(on):
        currency = totals.currency
        rows += [("received", currency, totals.received_amount)]
        rows += [(name.removesuffix("_amount"), currency, getattr(totals, name)) for name in KEPT]
        rows += [
            (
                "received - all of these",
                currency,
                int(totals.received_amount - sum(getattr(totals, name) for name in KEPT)),
            )
        ]
    before = services.calendar.calendar.previous_business_day(on)
    for side in books.close.movements(on=on, before=before):
        rows += [(f"{side.side} {name}", side.currency, getattr(side, name)) for name in ("opening", "came", "went")]
        rows += [(f"{side.side} closing", side.currency, side.closing)]
    for name in ("policy_name", "policy_sha256", "input_sha256", "output_sha256", "code_version"):
        rows.append((name, "", str(getattr(revision, name))))
    return Sheet(name="summary", columns=("what", "currency", "value"), rows=rows)


def _taxes(services: Services, books: Books, on: date, revision: Revision) -> Sheet:
    """What was withheld, by tax class as it was frozen with the day's inputs."""
    day = DayRun(settlement_date=on, revision=revision.revision, run_id="report", dry_run=True)
    investors = services.snapshots.table(extract.snapshot_name(day), "investors", input_sha256=revision.input_sha256)
    classes = dict(zip(investors["investor_id"], investors["tax_class"], strict=True))
    return _sheet("taxes", books.close.taxes(on, classes))


def _sheet(name: str, table: ReportTable) -> Sheet:
    """Return a table as a sheet; one without rows says so."""
    return Sheet(name=name, columns=table.columns if table.rows else ("nothing",), rows=table.rows)
