"""No planted fault survives the rehearsal with a bank that can say anything: one for each kind of promise, and more.

Each fault is what a careless change would do. Where only some of what the bank, the lender and the clock do can show
it, they do that more often here, so that it is met within days and not within months. Measured at 2 minutes on 2 cores,
and at 12 where ten other jobs shared them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from settlement.adapters.ledger.outcomes.repository import Outcomes
from settlement.adapters.slack import client
from settlement.domain.bank import statement as statements
from settlement.domain.bank.matching import exact, lines_in
from settlement.domain.breaks import WAYS, Way
from settlement.domain.computation import source_changes
from settlement.domain.payments import evidence
from settlement.domain.payments.state import PayoutState
from settlement.stages import apply, asked, breaks, gate, open_day, take_in
from settlement_lab.rehearse.grammar import drive, productions
from settlement_lab.servers import embedded

from . import alert_faults

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault: how it is planted, what the auditor says of it, and what happens more often so that it is met soon."""

    plant: Plant
    said: str
    chances: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Sequence[tuple[int, Any]]] = field(default_factory=dict)


# ----------------------------------------------------------------------------------------------------- stale inputs


def what_was_frozen_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs that were frozen once are computed with, whatever was posted since."""
    frozen = Outcomes.frozen

    def fresh(self: Outcomes, day: Any) -> Any:
        found = frozen(self, day)
        return found and replace(found, books_version=self.version())

    monkeypatch.setattr(Outcomes, "frozen", fresh)


# ----------------------------------------------------------------------------------------- a run does what it was asked


def unknown_words_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter that there is not is not looked at."""
    monkeypatch.setattr(asked, "check_parameters", lambda *_arguments, **_options: None)


def a_dry_run_is_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a run is dry gets lost on the way."""
    real = open_day.open_day

    def wet(services: Any, request: Any, **options: Any) -> Any:
        return real(services, replace(request, dry_run=False), **options)

    monkeypatch.setattr(open_day, "open_day", wet)


# ---------------------------------------------------------------------------------------------- evidence before state


def the_last_word_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A credit under a payout's id is a return, also one that corrects a doubled debit."""
    states = evidence.states

    def hasty(known: pd.DataFrame) -> pd.Series[str]:
        proven = states(known)
        return proven.where(known["credits"] == 0, PayoutState.RETURNED.value)

    monkeypatch.setattr(evidence, "states", hasty)


def every_debit_is_the_payout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each debit that carries a payout's id is matched with it, the doubled one too."""

    def greedy(known: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"leaving": known["debits"], "back": known["credits"]}, index=known.index)

    monkeypatch.setattr(evidence, "movements", greedy)


def nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent and not seen leaving is forgotten by the gate."""

    def forgetful(*_arguments: Any) -> dict[str, int]:
        return {}

    monkeypatch.setattr(gate, "_under_way", forgetful)


# ------------------------------------------------------------------------------------------- every break has a way out


def a_missing_receipt_cannot_be_written_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only way out of a break is closed."""
    ways = {**WAYS, ("missing_at_bank", "repayment"): (Way.ANSWER,)}
    monkeypatch.setattr(breaks, "WAYS", ways)


# --------------------------------------------------------------------------------------- statements and their identity


def what_is_issued_again_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that comes again under another number is taken for a new one, whatever it says."""
    number = count(1)
    monkeypatch.setattr(statements, "untold", lambda *_arguments, **_options: None)
    monkeypatch.setattr(statements, "content_key", lambda **_said: f"{next(number):064x}")


def one_bad_message_keeps_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that cannot be read ends the taking in."""

    def aside(*_arguments: Any, **_options: Any) -> Any:
        raise ValueError("one message cannot be used")

    monkeypatch.setattr(take_in, "refuse", aside)


# ------------------------------------------------------------------------------------------------------------ matching


def letters_of_interest_are_interest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code with the letters INTR in it is interest, also in front of an end-to-end id."""
    of_accounts = exact.of_accounts

    def hasty(lines: pd.DataFrame, terms: Any) -> Any:
        is_so = lines["bank_code"].str.contains("INTR")
        own = partial(exact._with_account, rule="bank_interest", explanation="")
        return [own(line, exact.INTEREST) for line in lines_in(lines[is_so])] + of_accounts(lines[~is_so], terms)

    monkeypatch.setattr(exact, "of_accounts", hasty)


# -------------------------------------------------------------------------------------------------- days that come late


def what_comes_late_is_dated_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is booked under the day of its payout, also where that day has its certificate."""
    monkeypatch.setattr(apply, "open_date", lambda _services, _books, on: on)


def late_receipts_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the source writes late into a window that was settled is never taken."""
    monkeypatch.setattr(source_changes, "windows_that_differ", lambda *_arguments, **_options: [])


FAULTS = {
    "stale inputs": Fault(
        plant=what_was_frozen_is_fresh,
        said="the product fell",
        chances={"days settled late": 0.5, "days crossed by the one before": 1.0},
    ),
    "unknown words are passed over": Fault(
        plant=unknown_words_are_passed_over, said="would do", chances={"runs asked wrongly": 1.0}
    ),
    "a dry run is a run": Fault(plant=a_dry_run_is_a_run, said="a dry run of", chances={"dry runs": 1.0}),
    "the last word wins": Fault(
        plant=the_last_word_wins,
        said="is [returned]",
        tables={"PAYMENTS": [(1, productions.doubled_and_corrected), (1, productions.doubled_and_corrected_that_day)]},
    ),
    "every debit is the payout": Fault(
        plant=every_debit_is_the_payout,
        said="no break names it",
        tables={"PAYMENTS": [(1, productions.doubled_for_good)]},
    ),
    "nothing is under way": Fault(
        plant=nothing_is_under_way, said="are under way", tables={"PAYMENTS": [(1, productions.paid_late)]}
    ),
    "a break without a way out": Fault(
        plant=a_missing_receipt_cannot_be_written_off,
        said="stays open",
        tables={"RECEIPTS": [(1, productions.received_less_a_fee)]},
    ),
    "what is issued again is another": Fault(
        plant=what_is_issued_again_is_another,
        said="is in the books 2 times",
        tables={"STATEMENTS": [(1, productions.issued_again)]},
    ),
    "one bad message keeps the others back": Fault(
        plant=one_bad_message_keeps_the_others_back,
        said="the product fell",
        tables={"STATEMENTS": [(1, productions.damaged_and_sent_again)]},
    ),
    "letters of interest are interest": Fault(
        plant=letters_of_interest_are_interest,
        said="by [bank_interest]",
        tables={"PAYMENTS": [(1, productions.paid_under_a_code_like_interest)]},
    ),
    "what comes late is dated back": Fault(
        plant=what_comes_late_is_dated_back,
        said="investors have",
        tables={
            "PAYMENTS": [(1, productions.credited_without_announcement)],
            "STATEMENTS": [(1, productions.a_plain_statement)],
        },
    ),
    "late receipts are passed over": Fault(
        plant=late_receipts_are_passed_over,
        said="stays in [receipts_in_transit]",
        chances={"receipts late at the source": 1.0},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(
    postgres: embedded.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    fault = FAULTS[name]
    fault.plant(monkeypatch)
    for what, chance in {"runs in two processes": 0.0, **fault.chances}.items():
        monkeypatch.setitem(drive.CHANCES, what, chance)
    for table, rows in fault.tables.items():
        monkeypatch.setattr(productions, table, rows)
    for seed in range(1, 5):
        summary = drive.rehearse(seed, 6, home=tmp_path / f"seed_{seed}", server=postgres)
        if summary.violations:
            with capsys.disabled():
                print(f"\n{name}, on day {summary.days + 1} of seed {seed}: {summary.violations[0][:300]}")
            assert fault.said in summary.violations[0]
            return
    pytest.fail(f"[{name}] survived 4 seeds of 6 days")


def test_a_planted_fault_of_the_alerts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy answers in Slack's place is taken for Slack's: the fault run of the alerts is their rehearsal."""

    def believed(status: int, _headers: Any) -> client.SlackError:
        return client.CallRefused(f"http_{status}")

    monkeypatch.setattr(client, "_foreign", believed)
    assert alert_faults.run(count=600, seed=1)["left"] > 0
