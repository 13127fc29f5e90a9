"""The grammar: what real banks do, honest and mistaken, each as a production that is drawn as the seed says.

A table names the productions of one thing (a file, a payment, a receipt, what the bank books for itself, a day's
statement), each with its weight; the first is what an honest bank does. A production says what happens and when; when
nothing more is to come, the bank has told the whole truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from settlement_lab.rehearse.grammar import words
from settlement_lab.rehearse.grammar.words import Line

if TYPE_CHECKING:
    from settlement_lab.rehearse.grammar.bank import Bank, Payment

Production = TypeVar("Production", bound=Callable[..., None])

FEE = 300
"""What a bank keeps of a return, or takes on top of a payment; half of the amount at most."""


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
    e2e, name = payment.end_to_end_id, bank.number("N")
    line = Line(number=name, truth=f"payout:{e2e}", amount=-payment.amount, end_to_end_id=e2e)
    bank.send(f"camt.054-{name}.xml", words.camt054(name, bank.account, bank.day(1), [line]), after=0)
    bank.debit(payment, after=1)


def paid_with_its_id_in_the_text(bank: Bank, payment: Payment) -> None:
    """The line has its id among the words that people read."""
    bank.debit(payment, after=1, is_in_text=True)


def doubled_and_corrected(bank: Bank, payment: Payment) -> None:
    """It leaves twice; days later the second is taken back."""
    bank.debit(payment, after=1)
    bank.debit(payment, after=bank.random.randint(1, 2))
    bank.credit(payment, after=bank.random.randint(2, 4), is_reversal=True)


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
    (6, doubled_and_corrected),
    (2, doubled_for_good),
    (6, return_announced_and_credited),
    (4, return_announced_and_never_credited),
    (6, credited_without_announcement),
    (4, netted_away),
    (5, returned_less_a_fee),
    (5, paid_with_a_fee),
    (3, paid_returned_and_paid_again),
    (3, credited_before_it_leaves),
    (6, rejected),
    (4, rejected_then_paid),
    (3, paid_then_rejected),
    (4, lost),
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


FILES = ((60, accepted), (20, accepted_by_name), (12, taken_in_silence), (8, refused_twice))


def still_silent(bank: Bank, file_id: str) -> None:
    """Asked after a file, the bank says nothing."""


def said_to_be_there(bank: Bank, file_id: str) -> None:
    """Asked after a file, the bank says that it has it: a duplicate."""
    bank.report(file_id, group="RJCT", reason="DUPL")


ASKED_AGAIN = ((2, said_to_be_there), (1, still_silent))


# --------------------------------------------------------------------------------------------------------- of a receipt


def received(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives with its reference."""
    bank.book(f"receipt:{reference}", amount, after=1, reference=reference, text=payer)


def received_late(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives a day or two later than the lender believes."""
    bank.book(f"receipt:{reference}", amount, after=bank.random.randint(2, 3), reference=reference, text=payer)


def received_without_reference(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives, and nothing says what for."""
    bank.book(f"receipt:{reference}", amount, after=1, text=payer)


def received_with_a_mangled_reference(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives with its reference in small letters and with blanks, among other words."""
    mangled = reference.lower().replace("-", " - ")
    bank.book(f"receipt:{reference}", amount, after=1, text=f"{payer} {mangled}")


def received_in_two_parts(bank: Bank, reference: str, amount: int, payer: str) -> None:
    """Money arrives as two lines of one day."""
    first = amount // 3 or amount
    for part in (first, amount - first) if first < amount else (amount,):
        bank.book(f"receipt:{reference}", part, after=1, reference=reference, text=payer)


RECEIPTS = (
    (60, received),
    (10, received_late),
    (10, received_without_reference),
    (10, received_with_a_mangled_reference),
    (10, received_in_two_parts),
)


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
    content = words.camt053(said)
    bank.send(f"camt.053-{bank.number('F')}.xml", content[: len(content) // 2], after=0)
    bank.tell(said, after=bank.random.randint(0, 1), into="camt.053")


def beside_another_account(bank: Bank, opening: int, lines: Sequence[Line]) -> None:
    """The statement of an account that is not ours comes beside it."""
    theirs = Line(number=bank.number("X"), truth="", amount=4_711, text="not ours")
    bank.tell(bank.statement(0, [theirs], account="KR86MOCK0000000001"))
    bank.tell(bank.statement(opening, lines))


STATEMENTS = (
    (30, a_plain_statement),
    (12, in_another_order),
    (12, two_messages_a_day),
    (10, told_twice),
    (10, issued_again),
    (10, a_late_statement),
    (8, damaged_and_sent_again),
    (8, beside_another_account),
)
