"""A second bank for the rehearsal: it can say anything, at the level of messages and statement lines.

- `words` writes what is said: pain.002, pacs.004, camt.054, and statements as camt.053, MT940 and CSV.
- `bank` takes payment files and keeps the truth: what it did with each payment, and what each of its lines really is.
- `productions` is the grammar: each is one thing that real banks do, honest or mistaken, drawn as the seed says.
- `operator` ends breaks as people do: late, knowing the truth, now and then mistaken.
- `audit` holds the books against the truth after every step, and asks at the end whether everything has come to rest.
- `drive` is the clock: day after day, late, twice, beside each other, all in this process.
"""
