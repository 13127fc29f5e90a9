"""Where a file is: every story of transmissions and reports, and what may be concluded from it."""

import pytest
from settlement.domain.bank.messages import SubmissionOutcome
from settlement.domain.payments.files import FileState, file_status

RECEIVED, REFUSED, DUPLICATE, NOT_SENT, UNKNOWN = (
    SubmissionOutcome.RECEIVED,
    SubmissionOutcome.REFUSED,
    SubmissionOutcome.DUPLICATE,
    SubmissionOutcome.NOT_SENT,
    SubmissionOutcome.UNKNOWN,
)


@pytest.mark.parametrize(
    ("story", "outcomes", "rejected", "duplicate", "spoken_of", "where"),
    [
        ("never handed over", [], False, False, False, FileState.PREPARED),
        ("proven not to have left", [NOT_SENT, NOT_SENT], False, False, False, FileState.PREPARED),
        ("nobody heard the answer", [None], False, False, False, FileState.UNKNOWN),
        ("an answer that proves nothing", [UNKNOWN], False, False, False, FileState.UNKNOWN),
        ("not sent, then nothing heard", [NOT_SENT, UNKNOWN], False, False, False, FileState.UNKNOWN),
        ("taken", [RECEIVED], False, False, False, FileState.RECEIVED),
        ("taken the second time", [UNKNOWN, RECEIVED], False, False, False, FileState.RECEIVED),
        ("there already", [UNKNOWN, DUPLICATE], False, False, False, FileState.RECEIVED),
        ("there already, told by a report", [UNKNOWN, UNKNOWN], False, True, False, FileState.RECEIVED),
        ("a report spoke of its payments", [None], False, False, True, FileState.RECEIVED),
        ("refused at the first try", [REFUSED], False, False, False, FileState.REJECTED),
        ("refused, and told twice", [REFUSED], True, False, False, FileState.REJECTED),
        ("rejected by report after it was taken", [RECEIVED], True, False, False, FileState.REJECTED),
        ("rejected by report, the answer lost", [UNKNOWN], True, False, False, FileState.REJECTED),
        ("not sent, then refused", [NOT_SENT, REFUSED], False, False, False, FileState.REJECTED),
        ("the second refused, the first unknown", [UNKNOWN, REFUSED], False, False, False, FileState.UNKNOWN),
        (
            "the second refused and reported, the first unknown",
            [UNKNOWN, REFUSED],
            True,
            False,
            False,
            FileState.UNKNOWN,
        ),
        ("the second refused, the first not answered", [None, REFUSED], True, False, False, FileState.UNKNOWN),
        ("both refused", [REFUSED, REFUSED], False, False, False, FileState.REJECTED),
        (
            "the first rejected, the second a duplicate of it",
            [UNKNOWN, DUPLICATE],
            True,
            False,
            False,
            FileState.REJECTED,
        ),
        ("the same in two reports", [RECEIVED, RECEIVED], True, True, False, FileState.REJECTED),
        (
            "one lost, one refused, one a duplicate",
            [UNKNOWN, REFUSED, DUPLICATE],
            True,
            True,
            False,
            FileState.RECEIVED,
        ),
        ("two taken into a folder, one report", [RECEIVED, RECEIVED], True, False, False, FileState.RECEIVED),
    ],
)
def test_a_file_is_where_all_that_is_known_proves_it_to_be(
    story: str,
    outcomes: list[SubmissionOutcome | None],
    rejected: bool,
    duplicate: bool,
    spoken_of: bool,
    where: FileState,
) -> None:
    assert file_status(outcomes, is_rejected=rejected, is_duplicate=duplicate, is_spoken_of=spoken_of) is where, story


@pytest.mark.parametrize(
    ("state", "may_be_sent"),
    [
        (FileState.PREPARED, True),
        (FileState.SUBMITTED, True),
        (FileState.UNKNOWN, True),
        (FileState.RECEIVED, False),
        (FileState.REJECTED, False),
    ],
)
def test_a_file_may_be_sent_until_the_bank_has_it_or_has_rejected_it(state: FileState, may_be_sent: bool) -> None:
    assert state.may_be_sent is may_be_sent
