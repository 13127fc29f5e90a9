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
    ("story", "outcomes", "rejections", "duplicates", "spoken_of", "where"),
    [
        ("never handed over", [], 0, 0, False, FileState.PREPARED),
        ("proven not to have left", [NOT_SENT, NOT_SENT], 0, 0, False, FileState.PREPARED),
        ("nobody heard the answer", [None], 0, 0, False, FileState.UNKNOWN),
        ("an answer that proves nothing", [UNKNOWN], 0, 0, False, FileState.UNKNOWN),
        ("not sent, then nothing heard", [NOT_SENT, UNKNOWN], 0, 0, False, FileState.UNKNOWN),
        ("taken", [RECEIVED], 0, 0, False, FileState.RECEIVED),
        ("taken the second time", [UNKNOWN, RECEIVED], 0, 0, False, FileState.RECEIVED),
        ("there already", [UNKNOWN, DUPLICATE], 0, 0, False, FileState.RECEIVED),
        ("there already, told by a report", [UNKNOWN, UNKNOWN], 0, 1, False, FileState.RECEIVED),
        ("a report spoke of its payments", [None], 0, 0, True, FileState.RECEIVED),
        ("refused at the first try", [REFUSED], 0, 0, False, FileState.REJECTED),
        ("refused, and told twice", [REFUSED], 1, 0, False, FileState.REJECTED),
        ("rejected by report after it was taken", [RECEIVED], 1, 0, False, FileState.REJECTED),
        ("rejected by report, the answer lost", [UNKNOWN], 1, 0, False, FileState.REJECTED),
        ("not sent, then refused", [NOT_SENT, REFUSED], 0, 0, False, FileState.REJECTED),
        ("the second refused, the first unknown", [UNKNOWN, REFUSED], 0, 0, False, FileState.UNKNOWN),
        ("the second refused and reported, the first unknown", [UNKNOWN, REFUSED], 1, 0, False, FileState.UNKNOWN),
        ("the second refused, the first not answered", [None, REFUSED], 1, 0, False, FileState.UNKNOWN),
        ("both rejections reported", [UNKNOWN, REFUSED], 2, 0, False, FileState.REJECTED),
        ("the first rejected, the second a duplicate of it", [UNKNOWN, DUPLICATE], 1, 0, False, FileState.REJECTED),
        ("the same in two reports", [RECEIVED, RECEIVED], 1, 1, False, FileState.REJECTED),
        ("two taken into a folder, one report", [RECEIVED, RECEIVED], 1, 0, False, FileState.RECEIVED),
    ],
)
def test_a_file_is_where_all_that_is_known_proves_it_to_be(
    story: str,
    outcomes: list[SubmissionOutcome | None],
    rejections: int,
    duplicates: int,
    spoken_of: bool,
    where: FileState,
) -> None:
    assert file_status(outcomes, rejections=rejections, duplicates=duplicates, is_spoken_of=spoken_of) is where, story


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
