"""What was paid so far on the notes, or on the receivables, of loans: the sums after a run from those before it.

What comes in: the sums before the run, and what the run moves, in any order. What comes out stands in order of loan,
each thing once. What has come to 0 again, because it was reversed, is left out.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from settlement.domain.computation import segments
from settlement.domain.computation.encode import Text
from settlement.domain.money import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Amounts in whole minor units by loan and id: `loan` numbers the loans, `ids` names their notes or receivables."""

    loan: Ints
    ids: Text
    amount: Ints


def after(before: Sums, *, loan: Ints, place: Ints, ids: Text, amount: Ints) -> Sums:
    """Return the sums after a run that moved, on the thing at `place` of `ids` of each `loan`, `amount`."""
    loan, place, amount = _summed(loan, place, amount)
    if len(before.loan):
        known = pa.concat_arrays([before.ids, ids.take(pa.array(place))]).dictionary_encode()
        ids, place = known.dictionary, known.indices.to_numpy().astype(np.int64)
        loan, place, amount = _summed(
            np.concatenate([before.loan, loan]), place, np.concatenate([before.amount, amount])
        )
    stands = amount != 0
    return Sums(loan=loan[stands], ids=ids.take(pa.array(place[stands])), amount=amount[stands])


def _summed(loan: Ints, place: Ints, amount: Ints) -> tuple[Ints, Ints, Ints]:
    """Return each loan and place once, in order, with the sum of its amounts."""
    if not len(loan):
        return loan, place, amount
    rises = (loan[1:] > loan[:-1]) | ((loan[1:] == loan[:-1]) & (place[1:] >= place[:-1]))
    if not rises.all():
        order = np.lexsort((place, loan))
        loan, place, amount = loan[order], place[order], amount[order]
    is_first = np.append(True, (loan[1:] != loan[:-1]) | (place[1:] != place[:-1]))
    first = np.flatnonzero(is_first)
    return loan[first], place[first], segments.sums(amount, np.append(first, len(loan)))
