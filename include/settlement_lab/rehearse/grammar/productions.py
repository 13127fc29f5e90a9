"""The grammar: what real banks do, honest and mistaken, each as a production that is drawn as the seed says.

A table names the productions of one thing (a file, a payment, a receipt, what the bank books for itself, a day's
statement), each with its weight; the first is what an honest bank does. A production says what happens and when; when
nothing more is to come, the bank has told the whole truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from settlement_lab.rehearse.grammar import words
from settlement_lab.rehearse.grammar.words import Line

if TYPE_CHECKING:
    from settlement_lab.rehearse.grammar.bank import Bank, Payment

Production = TypeVar("Production", bound=Callable[..., Any])

FEE = 300
"""What a bank keeps of a return, or takes on top of a payment; half of the amount at most."""

SMALL_FEE = 7
"""What a collector keeps of a receipt, within what the rehearsal's policy tolerates."""

SOUNDS_LIKE_INTEREST = ("INTRABANK", "INTRADAY TRF", "POINTRANSFER")
"""A bank's own codes that have the letters of another's code for interest in them."""


def draw(bank: Bank, table: Sequence[tuple[int, Production]]) -> Production:
    """Draw a production from a table of weights and productions, and count it."""
    weights = [weight for weight, _ in table]
    ((_, found),) = bank.random.choices(table, weights) if not bank.is_honest else (table[0],)
    bank.drawn[found.__name__] += 1
    return found


# --------------------------------------------------------------------------------------------------------- of a payment


def paid(bank: Bank, payment: Payment) -> None:
    """It leaves on the next day."""
    bank.debit(payment, after=1)


def paid_late(bank: Bank, payment: Payment) -> None:
    """It leaves days after it should have."""
    bank.debit(payment, after=bank.random.randint(2, 4))


def notified_and_paid(bank: Bank, payment: Payment) -> None:
    """A camt.054 says that it leaves, then the statement."""
    _notify(bank, payment)
    bank.debit(payment, after=1)


def _notify(bank: Bank, payment: Payment) -> None:
    e2e, name = payment.end_to_end_id, bank.number("N")
    line = Line(number=name, truth=f"payout:{e2e}", amount=-payment.amount, end_to_end_id=e2e)
    bank.send(f"camt.054-{name}.xml", words.camt054(name, bank.account, bank.day(1), [line]), after=0)


def paid_with_its_id_in_the_text(bank: Bank, payment: Payment) -> None:
    """The line has its id among the words that people read."""
    bank.debit(payment, after=1, text=f"transfer {payment.end_to_end_id}")


def paid_with_its_id_as_a_reference(bank: Bank, payment: Payment) -> None:
    """The line has its id where a payer's reference stands."""
    bank.debit(payment, after=1, reference=payment.end_to_end_id)


def paid_under_a_code_like_interest(bank: Bank, payment: Payment) -> None:
    """The line has its id, and a code of the bank's own that has the letters of interest in it."""
    code = bank.random.choice(SOUNDS_LIKE_INTEREST)
    bank.debit(payment, after=1, end_to_end_id=payment.end_to_end_id, code=code)


def doubled_and_corrected(bank: Bank, payment: Payment) -> None:
    """It leaves twice; days later the second is taken back."""
    bank.debit(payment, after=1)
    bank.debit(payment, after=bank.random.randint(1, 2))
    bank.credit(payment, after=bank.random.randint(2, 4), is_reversal=True)


def doubled_and_corrected_that_day(bank: Bank, payment: Payment) -> None:
    """It leaves twice, and the second is taken back on the same statement."""
    after = bank.random.randint(1, 2)
    bank.debit(payment, after=1)
    bank.debit(payment, after=after)
    bank.credit(payment, after=after, is_reversal=True)


def doubled_for_good(bank: Bank, payment: Payment) -> None:
    """It leaves twice, and the bank gives nothing back."""
    bank.debit(payment, after=1)
    bank.debit(payment, after=1)


def return_announced_and_credited(bank: Bank, payment: Payment) -> None:
    """It leaves; its return is announced, and comes, in either order."""
    bank.debit(payment, after=1)
    bank.announce(payment, after=bank.random.randint(1, 3))
    bank.credit(payment, after=bank.random.randint(2, 3), reason="MS03")


def return_announced_and_never_credited(bank: Bank, payment: Payment) -> None:
    """It leaves; its return is announced, and the bank keeps the money."""
    bank.debit(payment, after=1)
    bank.announce(payment, after=bank.random.randint(1, 2))


def return_announced_twice(bank: Bank, payment: Payment) -> None:
    """It leaves; its return is announced under two numbers, and comes once."""
    bank.debit(payment, after=1)
    for _ in range(2):
        bank.announce(payment, after=bank.random.randint(1, 3))
    bank.credit(payment, after=2, reason="MS03")


def return_announced_net_and_never_credited(bank: Bank, payment: Payment) -> None:
    """It leaves; a return less a fee is announced, and the bank keeps all of the money."""
    bank.debit(payment, after=1)
    bank.announce(payment, after=bank.random.randint(1, 2), fee=min(FEE, payment.amount // 2))


def credited_without_announcement(bank: Bank, payment: Payment) -> None:
    """It leaves and comes back, which a statement alone says."""
    bank.debit(payment, after=1)
    bank.credit(payment, after=bank.random.randint(1, 3), reason="MS03")


def netted_away(bank: Bank, payment: Payment) -> None:
    """Its return is announced, and it neither leaves nor comes back."""
    bank.announce(payment, after=bank.random.randint(0, 2))


def returned_less_a_fee(bank: Bank, payment: Payment) -> None:
    """It leaves, and comes back less what the bank keeps for that."""
    fee = min(FEE, payment.amount // 2)
    bank.debit(payment, after=1)
    if bank.random.random() < 0.5:
        bank.announce(payment, after=1, fee=fee)
    bank.credit(payment, after=2, fee=fee, reason="MS03")


def paid_with_a_fee(bank: Bank, payment: Payment) -> None:
    """It leaves with what the bank takes for it on top."""
    bank.debit(payment, after=1, fee=FEE)


def paid_with_its_charge_told(bank: Bank, payment: Payment) -> None:
    """It leaves with what the bank takes for it on top, and the bank says how much that is."""
    number = bank.debit(payment, after=1)
    bank.book("account:bank_charges", -FEE, after=1, own=words.CHARGE, text="charge", charged_to=number)


def paid_returned_and_paid_again(bank: Bank, payment: Payment) -> None:
    """It leaves, comes back, and leaves for good."""
    bank.debit(payment, after=1)
    bank.credit(payment, after=2, reason="MS03")
    bank.debit(payment, after=3)


def credited_before_it_leaves(bank: Bank, payment: Payment) -> None:
    """It comes back on a statement, and leaves on a later one."""
    bank.credit(payment, after=1, reason="MS03")
    bank.debit(payment, after=2)


def rejected(bank: Bank, payment: Payment) -> None:
    """A report rejects it, by name."""
    reason = bank.random.choice(["AC04", "AM04", "MS03"])
    named = {payment.end_to_end_id: ("RJCT", reason)}
    bank.report(payment.file_id, after=bank.random.randint(0, 1), payments=named, refuses=[payment])


def rejected_twice(bank: Bank, payment: Payment) -> None:
    """Two reports reject it, each by name."""
    named = {payment.end_to_end_id: ("RJCT", bank.random.choice(["AC04", "AM04"]))}
    for after in (0, bank.random.randint(0, 1)):
        bank.report(payment.file_id, after=after, payments=named, refuses=[payment])


def accepted_then_rejected(bank: Bank, payment: Payment) -> None:
    """A report accepts it by name, a later one rejects it, and it never leaves."""
    bank.report(payment.file_id, payments={payment.end_to_end_id: ("ACSP", "")})
    named = {payment.end_to_end_id: ("RJCT", "AC04")}
    bank.report(payment.file_id, after=1, payments=named, refuses=[payment])


def notified_and_lost(bank: Bank, payment: Payment) -> None:
    """A camt.054 says that it leaves, and it never does."""
    _notify(bank, payment)


def rejected_then_paid(bank: Bank, payment: Payment) -> None:
    """A report rejects it, and it leaves all the same."""
    bank.report(payment.file_id, payments={payment.end_to_end_id: ("RJCT", "AM04")}, refuses=[payment])
    bank.debit(payment, after=bank.random.randint(1, 3))


def paid_then_rejected(bank: Bank, payment: Payment) -> None:
    """It leaves, and a report rejects it afterwards."""
    bank.debit(payment, after=1)
    named = {payment.end_to_end_id: ("RJCT", "AM04")}
    bank.report(payment.file_id, after=2, payments=named, refuses=[payment])


def lost(bank: Bank, payment: Payment) -> None:
    """It was taken, and nothing is ever heard of it."""


PAYMENTS = (
    (40, paid),
    (6, paid_late),
    (5, notified_and_paid),
    (4, paid_with_its_id_in_the_text),
    (4, paid_with_its_id_as_a_reference),
    (6, paid_under_a_code_like_interest),
    (6, doubled_and_corrected),
    (3, doubled_and_corrected_that_day),
    (2, doubled_for_good),
    (6, return_announced_and_credited),
    (4, return_announced_and_never_credited),
    (3, return_announced_twice),
    (3, return_announced_net_and_never_credited),
    (6, credited_without_announcement),
    (4, netted_away),
    (5, returned_less_a_fee),
    (5, paid_with_a_fee),
    (4, paid_with_its_charge_told),
    (3, paid_returned_and_paid_again),
    (3, credited_before_it_leaves),
    (6, rejected),
    (3, rejected_twice),
    (3, accepted_then_rejected),
    (4, rejected_then_paid),
    (3, paid_then_rejected),
    (4, lost),
    (3, notified_and_lost),
)


# ------------------------------------------------------------------------------------------------------------ of a file


def accepted(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """A report accepts the file."""
    bank.report(file_id, group="ACCP")


def accepted_by_name(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """A report accepts each payment."""
    bank.report(file_id, payments={payment.end_to_end_id: ("ACSP", "") for payment in payments})


def taken_in_silence(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """No report ever comes."""


def refused_twice(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """The file is refused, and one refusal is told by two reports; nothing of it is paid."""
    bank.files[file_id] = "refused"
    bank.report(file_id, group="RJCT", reason="TM01", refuses=payments)
    bank.report(file_id, group="RJCT", reason="TM01", after=bank.random.randint(0, 1), refuses=payments)


def refused_by_every_name(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """Every payment of the file is rejected by name, in two reports that say the same."""
    bank.files[file_id] = "refused"
    named = {payment.end_to_end_id: ("RJCT", "AM04") for payment in payments}
    for after in (0, bank.random.randint(0, 1)):
        bank.report(file_id, after=after, payments=named, refuses=payments)


def swallowed(bank: Bank, file_id: str, payments: Sequence[Payment]) -> None:
    """The file is taken out of the folder, and nothing ever comes of it."""
    bank.files[file_id] = "swallowed"


FILES = (
    (60, accepted),
    (20, accepted_by_name),
    (12, taken_in_silence),
    (6, refused_twice),
    (4, refused_by_every_name),
    (6, swallowed),
)


def each_by_itself(bank: Bank, file_id: str, payments: Sequence[Payment]) -> Sequence[Payment]:
    """Every payment of the file is booked by itself."""
    return payments


def in_one_sum(bank: Bank, file_id: str, payments: Sequence[Payment]) -> Sequence[Payment]:
    """All payments of the file leave on the next day as one line, which names the file."""
    truth = " ".join(f"payout:{payment.end_to_end_id}" for payment in payments)
    total = sum(payment.amount for payment in payments)
    bank.book(truth, -total, after=1, payments=payments, file_id=file_id)
    return ()


SUMS = ((9, each_by_itself), (1, in_one_sum))
"""How the payments of a file that was taken are booked; each returns those of which something else becomes."""


def still_silent(bank: Bank, file_id: str) -> None:
    """Asked after a file, the bank says nothing."""


def said_to_be_there(bank: Bank, file_id: str) -> None:
    """Asked after a file, the bank says that it has it: a duplicate."""
    bank.report(file_id, group="RJCT", reason="DUPL")


ASKED_AGAIN = ((1, said_to_be_there), (1, still_silent))


# --------------------------------------------------------------------------------------------------------- of a receipt


def received(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives with its reference."""
    bank.book(f"receipt:{reference}", amount, after=1, reference=bank.shown(reference), text=payer)


def received_late(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives a day or two later than the lender believes."""
    bank.book(
        f"receipt:{reference}", amount, after=bank.random.randint(2, 3), reference=bank.shown(reference), text=payer
    )


def received_without_reference(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives, and nothing says what for."""
    bank.book(f"receipt:{reference}", amount, after=1, text=payer)


def received_with_a_mangled_reference(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives with its reference in small letters and with blanks, among other words."""
    mangled = bank.shown(reference).lower().replace("-", " - ")
    bank.book(f"receipt:{reference}", amount, after=1, text=f"{payer} {mangled}")


def received_in_two_parts(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives as two lines of one day."""
    first = amount // 3 or amount
    for part in (first, amount - first) if first < amount else (amount,):
        bank.book(f"receipt:{reference}", part, after=1, reference=bank.shown(reference), text=payer)


def received_less_a_fee(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives with its reference, less what somebody on the way keeps: a little, or more than is tolerated."""
    fee = min(bank.random.choice([SMALL_FEE, FEE]), amount // 2)
    bank.book(f"receipt:{reference}", amount - fee, after=1, reference=bank.shown(reference), text=payer)


def received_together_with_others(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives in one sum with that of other payers of the day."""
    bank.together.append((reference, amount))


RECEIPTS = (
    (60, received),
    (10, received_late),
    (10, received_without_reference),
    (10, received_with_a_mangled_reference),
    (10, received_in_two_parts),
    (8, received_less_a_fee),
    (14, received_together_with_others),
)


def in_whole(bank: Bank) -> None:
    """The sum of several receipts is booked as one line, which names each of them."""
    _book_together(bank, fee=0)


def less_a_small_fee(bank: Bank) -> None:
    """The sum of several receipts is booked less what the collector keeps, within what is tolerated."""
    _book_together(bank, fee=SMALL_FEE)


def less_a_fee(bank: Bank) -> None:
    """The sum of several receipts is booked less what the collector keeps, which is more than is tolerated."""
    _book_together(bank, fee=FEE)


def _book_together(bank: Bank, *, fee: int) -> None:
    total = sum(amount for _, amount in bank.together)
    bank.book(
        " ".join(f"receipt:{reference}" for reference, _ in bank.together),
        total - min(fee, total // 2),
        after=0,
        text="collected " + " ".join(bank.shown(reference) for reference, _ in bank.together),
    )


TOGETHER = ((2, in_whole), (1, less_a_small_fee), (1, less_a_fee))


# ------------------------------------------------------------------------------------- what the bank books for itself


def nothing_of_its_own(bank: Bank) -> None:
    """A day without a line of the bank's own."""


def a_charge(bank: Bank) -> None:
    """The bank takes a charge, and marks it as one."""
    bank.book("account:bank_charges", -bank.random.randint(1, 900), after=0, own=words.CHARGE, text="account fee")


def an_unmarked_charge(bank: Bank) -> None:
    """The bank takes a charge, and says so in words alone."""
    bank.book("account:bank_charges", -bank.random.randint(1, 900), after=0, text="service")


def interest(bank: Bank) -> None:
    """The bank pays interest."""
    bank.book("account:bank_interest", bank.random.randint(1, 900), after=0, own=words.INTEREST, text="interest")


def somebody_elses_money(bank: Bank) -> None:
    """A credit that is not ours; the bank takes it back days later."""
    amount = bank.random.randint(1_000, 90_000)
    bank.book("account:bank_interest", amount, after=0, text="misdirected")
    bank.book("account:bank_interest", -amount, after=bank.random.randint(0, 2), text="misdirected, taken back")


OWN_LINES = (
    (60, nothing_of_its_own),
    (12, a_charge),
    (8, an_unmarked_charge),
    (10, interest),
    (10, somebody_elses_money),
)


# ------------------------------------------------------------------------------------------------ of a day's statement


def a_plain_statement(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """One statement, in time."""
    bank.tell(bank.statement(opening, lines))


def in_another_order(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The lines stand in no order."""
    bank.tell(bank.statement(opening, bank.random.sample(lines, len(lines))))


def two_messages_a_day(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The day in two statements, each with its own number."""
    cut = bank.random.randint(0, len(lines))
    for part in (lines[:cut], lines[cut:]):
        said = bank.statement(opening, part)
        bank.tell(said, into=bank.random.choice(["camt.053", "MT940"]))
        opening = said.closing


def told_twice(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The same file comes again, under another name, at once or a day later."""
    kind, content = bank.tell(bank.statement(opening, lines))
    bank.send(f"again-{bank.number('F')}.{words.FORMATS[kind][0]}", content, after=bank.random.randint(0, 1))


def issued_again(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The same statement comes again under another number, its lines in another order."""
    kind, _ = bank.tell(bank.statement(opening, lines))
    again = bank.statement(opening, bank.random.sample(lines, len(lines)))
    bank.tell(again, after=bank.random.randint(0, 1), into=kind)


def a_late_statement(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The statement comes a day or two after those that follow it."""
    bank.tell(bank.statement(opening, lines), after=bank.random.randint(1, 2))


def damaged_and_sent_again(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A file that was cut off in the middle comes between good ones; the whole comes at once or a day later."""
    said = bank.statement(opening, lines)
    kind, _ = bank.tell(said, into=bank.kind(said, "camt.053", "MT940"), dress=lambda told: told[: len(told) // 2])
    bank.tell(said, after=bank.random.randint(0, 1), into=kind)


def absurd_and_told_right(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A statement with a number that nothing can hold comes; the right one comes at once or a day later."""
    said = bank.statement(opening, lines)
    kind = bank.kind(said)
    bank.tell(said, into=kind, dress=words.ABSURD[kind])
    bank.tell(said, after=bank.random.randint(0, 1), into=kind)


def dated_by_mistake(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The day's statement is dated a year ahead; the right one comes at once or a day later."""
    said = bank.statement(opening, lines)
    kind, _ = bank.tell(replace(said, on=said.on + timedelta(days=364)))
    bank.tell(bank.statement(opening, lines), after=bank.random.randint(0, 1), into=kind)


def beside_another_account(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The statement of an account that is not ours comes beside it."""
    bank.tell(bank.statement(0, [_not_ours(bank)], account=ANOTHERS))
    bank.tell(bank.statement(opening, lines))


def under_one_name_with_another_account(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """One message holds the day of two accounts, both under one name."""
    ours = bank.statement(opening, lines)
    theirs = replace(ours, account=ANOTHERS, opening=0, lines=(_not_ours(bank),))
    both = bank.random.sample([ours, theirs], 2)
    if bank.kind(ours, "camt.053", "MT940") == "MT940":
        bank.tell(ours, into="MT940", write=lambda _: words.mt940(*both))
    else:
        bank.tell(ours, into="camt.053", write=lambda _: words.camt053(*both))


def _not_ours(bank: Bank) -> Line:
    return Line(number=bank.number("X"), truth="", amount=4_711, text="not ours")


ANOTHERS = "KR86MOCK0000000001"
"""An account that is not ours."""


def under_a_former_name(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The statement has the name of a former one, as of a year ago."""
    former = bank.random.choice(bank.names or ["S000001"])
    bank.tell(bank.statement(opening, lines, name=former))


def without_a_name(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """An MT940 has no field 20."""
    bank.tell(bank.statement(opening, lines), into="MT940", write=partial(words.mt940, is_named=False))


def in_pages(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The statement comes in two pages, the last at once or a day later."""
    first, last = _parts(bank, opening, lines)
    kind = bank.kind(first, "camt.053", "MT940")
    bank.tell(replace(first, page=1), into=kind)
    bank.tell(
        replace(last, page=2, name=first.name, sequence=first.sequence), into=kind, after=bank.random.randint(0, 1)
    )


def in_the_middle_of_the_day(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A message ends with an interim balance, and another goes on from there to the day's end."""
    for part in _parts(bank, opening, lines):
        bank.tell(part, into=bank.kind(part, "camt.053", "MT940"))


def in_part_and_then_whole(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A message of the first half of the day, which goes on; in the evening the whole day."""
    first, _ = _parts(bank, opening, lines)
    kind, _ = bank.tell(first, into=bank.kind(first, "camt.053", "MT940"))
    bank.tell(bank.statement(opening, lines), into=kind)


def _parts(bank: Bank, opening: int, lines: Sequence[Line]) -> tuple[words.Statement, words.Statement]:
    """Return the day in two parts, which meet in an interim balance."""
    cut = bank.random.randint(0, len(lines))
    first = replace(bank.statement(opening, lines[:cut]), ends=False)
    return first, replace(bank.statement(first.closing, lines[cut:]), begins=False)


def in_another_dress(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The same statement in other bytes: a Korean encoding under one of its names, marks before or behind."""
    said = bank.statement(opening, lines)
    kind = bank.kind(said)
    name = bank.random.choice(sorted(words.DRESSES[kind]))
    bank.drawn[f"{kind} with {name}"] += 1
    bank.tell(said, into=kind, dress=words.DRESSES[kind][name])


def with_texts_like_fields(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The texts of lines go on in a line that looks like a field of an MT940."""
    like = "\n:20:08 :25:1"
    bank.tell(bank.statement(opening, [replace(line, text=f"{line.text or 'text'}{like}") for line in lines]))


def with_texts_in_several_fields(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """An MT940 tells of a line in several fields 86."""
    bank.tell(bank.statement(opening, lines), into="MT940", write=partial(words.mt940, has_several_86=True))


def newest_first(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A CSV has its newest row first."""
    said = bank.statement(opening, lines)
    if lines:
        bank.tell(said, into="CSV", write=partial(words.csv_export, is_newest_first=True))
    else:
        bank.tell(said)


def in_another_zone(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A camt.053 tells the days of its balances as instants of UTC."""
    bank.tell(bank.statement(opening, lines), into="camt.053", write=partial(words.camt053, is_in_utc=True))


def with_available_balances(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A camt.053 has available balances only."""
    write = partial(words.camt053, opens="OPAV", closes="CLAV")
    bank.tell(bank.statement(opening, lines), into="camt.053", write=write)


def without_directions(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A camt.053 does not say of its balances that they are credits."""
    write = partial(words.camt053, has_directions=False)
    bank.tell(bank.statement(opening, lines), into="camt.053", write=write)


def after_a_report_of_the_day(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A camt.052 tells the day so far, then the statement."""
    said = bank.statement(opening, lines)
    bank.send(f"camt.052-{bank.number('F')}.xml", words.camt052(said), after=0)
    bank.tell(said)


def after_notifications(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """A camt.054 tells all of the day's lines, then the statement."""
    name = bank.number("N")
    bank.send(f"camt.054-{name}.xml", words.camt054(name, bank.account, bank.today, lines), after=0)
    bank.tell(bank.statement(opening, lines))


def nothing_of_an_empty_day(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """Of a day without lines there is no statement."""
    if lines:
        bank.tell(bank.statement(opening, lines))


STATEMENTS = (
    (30, a_plain_statement),
    (10, in_another_order),
    (10, two_messages_a_day),
    (8, told_twice),
    (8, issued_again),
    (8, a_late_statement),
    (6, damaged_and_sent_again),
    (6, absurd_and_told_right),
    (4, dated_by_mistake),
    (5, beside_another_account),
    (5, under_one_name_with_another_account),
    (8, under_a_former_name),
    (5, without_a_name),
    (8, in_pages),
    (6, in_the_middle_of_the_day),
    (6, in_part_and_then_whole),
    (20, in_another_dress),
    (5, with_texts_like_fields),
    (5, with_texts_in_several_fields),
    (6, newest_first),
    (4, in_another_zone),
    (4, with_available_balances),
    (4, without_directions),
    (4, after_a_report_of_the_day),
    (4, after_notifications),
    (5, nothing_of_an_empty_day),
)

TABLES: Sequence[Sequence[tuple[int, Callable[..., Any]]]] = (
    PAYMENTS,
    FILES,
    SUMS,
    ASKED_AGAIN,
    RECEIPTS,
    TOGETHER,
    OWN_LINES,
    STATEMENTS,
)
"""All productions there are."""


def names() -> Sequence[str]:
    """Return under what each production is counted: its own name, and the forms that a statement can have."""
    forms = [f"as {kind}" for kind in words.FORMATS]
    dresses = [f"{kind} with {name}" for kind, named in words.DRESSES.items() for name in named]
    return [production.__name__ for table in TABLES for _, production in table] + forms + dresses
