"""Every point between "open the day" and its report at which a crash leaves something behind, named in one place.

A commit is named after the function whose transaction it ends, a call to the bank after what is asked of it. Before a
point the work is not done, after it the work is done and nobody may know; at either side the next attempt must end in
the same books. `tests/crash` kills the process on both sides of every point and fails on a point that is not in here.
What a person does by hand, such as `inquire.declare_absent`, is one transaction.
"""

COMMITS = {
    "open_day.open_day": "the date belongs to this run",
    "opening.take_over": "what stood in the former system's books stands in ours",
    "extract.freeze_inputs": "the frozen inputs and their hash are on record",
    "compute._distribute": "what the day computed stands in the books",
    "take_in.take_in": "the bank's messages are kept, before the bank is told so",
    "take_in.apply_new": "one message is applied",
    "take_in.refuse": "a message that cannot be used is put aside, with the reason",
    "match.match": "lines are matched with what is open",
    "gate.wait_for_statement": "the gate's statement is there, or somebody answers for it",
    "gate.keeping_objections": "what speaks against paying is on record",
    "gate.override": "somebody answers for it",
    "prepare.prepare": "payouts, their entries and the holds are written",
    "approve.ask": "payouts within the limit are approved, or a question is put to a second person",
    "approve.decide": "the answer is kept, and payouts are approved or their money is back",
    "submit._write_files": "payment files are written, byte for byte",
    "submit._hand_over": "from here on the bank may have the file",
    "submit._keep_answer": "what the bank answered is kept, with what it proves",
    "inquire.hear_answers": "what the bank said nothing of is unknown",
    "prove.prove_books": "breaks are up to date and proven days are closed",
    "certify_month.issue": "a month whose last date is closed is certified",
    "prove.prove": "people are told that the proof is done",
    "report.report": "the day is settled and its report waits for delivery",
}

BANK_CALLS = {
    "bank.submit": "a payment file is handed over",
    "bank.fetch": "the bank's messages are looked at",
    "bank.acknowledge": "kept messages are taken from the bank",
}
