"""Every point between "open the day" and its report at which a crash leaves something behind, named in one place.

A commit is named after the function whose transaction it ends, a call to the bank after what is asked of it. Before a
point the work is not done, after it the work is done and nobody may know; at either side the next attempt must end in
the same books. `tests/crash` kills the process on both sides of every point and fails on a point that is not in here.
What a person does by hand, such as `transfer.declare_absent`, is one transaction.
"""

COMMITS = {
    "extract.open_day": "the date belongs to this run",
    "extract.freeze_inputs": "the frozen inputs and their hash are on record",
    "compute._distribute": "what the day computed stands in the books",
    "intake.take_in": "the bank's messages are kept, before the bank is told so",
    "intake.apply_new": "one message is applied",
    "intake.refuse": "a message that cannot be used is put aside, with the reason",
    "intake.match_open": "lines are matched with what is open",
    "transfer.take_in": "the gate's statement is there, or somebody answers for it",
    "transfer._keeping_objections": "what speaks against paying is on record",
    "transfer.override": "somebody answers for it",
    "transfer.prepare": "payouts, their entries and the holds are written",
    "transfer.approval": "payouts within the limit are approved, or a question is put to a second person",
    "transfer.decide": "the answer is kept, and payouts are approved or their money is back",
    "transfer._write_files": "payment files are written, byte for byte",
    "transfer._hand_over": "from here on the bank may have the file",
    "transfer._keep_answer": "what the bank answered is kept, with what it proves",
    "transfer.answers": "what the bank said nothing of is unknown",
    "reconcile.prove_books": "breaks are up to date and proven days are closed",
    "reconcile.prove": "people are told that the proof is done",
    "report.report": "the day is settled and its report waits for delivery",
}

BANK_CALLS = {
    "bank.submit": "a payment file is handed over",
    "bank.fetch": "the bank's messages are looked at",
    "bank.acknowledge": "kept messages are taken from the bank",
}
