"""When the money that a run takes came, and in whose window that lies.

What comes in: the repayments that the run takes, and its own inputs, which say when most of them came. A repayment that
is cancelled ahead of its own run is not among the inputs: of it the source is asked.
"""

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np
import pandas as pd

from settlement.domain.computation import encode
from settlement.domain.days import Windows


def taken(repayments: pd.DataFrame) -> pd.DataFrame:
    """Return those of an outcome's repayments that the run takes: of what is refused only a break tells."""
    return repayments[repayments["outcome"] != "refused"]


def elsewhere(took: pd.DataFrame, repayments: pd.DataFrame) -> list[str]:
    """Return the ids of what is taken and is not among the inputs' repayments."""
    is_elsewhere = encode.lookup(took["repayment_id"], encode.text(repayments["repayment_id"])) == encode.NONE
    ids: list[str] = took["repayment_id"][is_elsewhere].tolist()
    return ids


def dated(took: pd.DataFrame, repayments: pd.DataFrame, came: Mapping[str, datetime], windows: Windows) -> pd.DataFrame:
    """Return what is taken with when each came, `received_at`, and the settlement date of its window, `window_on`.

    `came` says it of those that are `elsewhere`.
    """
    ids, instants = repayments["repayment_id"], repayments["received_at"]
    if came:
        ids = pd.concat([ids, pd.Series(list(came), dtype=ids.dtype)])
        instants = pd.concat([instants, pd.Series(list(came.values()), dtype=instants.dtype)])
    received_at = instants.take(encode.lookup(took["repayment_id"], encode.text(ids))).set_axis(took.index)
    return took.assign(received_at=received_at, window_on=_dates(received_at, windows))


def _dates(received: pd.Series, windows: Windows) -> list[date]:
    """Return the settlement date of each instant; one look into the windows for each of them, not for each row."""
    if received.empty:
        return []
    stretches = windows.stretches(received.min().to_pydatetime(), received.max().to_pydatetime())
    begins = np.array([from_at.replace(tzinfo=None) for from_at, _ in stretches], dtype="datetime64[us]")
    instants = received.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    dates = [on for _, on in stretches]
    return [dates[place] for place in np.searchsorted(begins, instants, side="right") - 1]
