"""Money is whole minor units wherever it crosses from one stage to the next: dtypes and column types, looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from settlement.domain import frames
from settlement.domain.computation import settle
from settlement.domain.errors import InvalidFrame
from settlement.domain.frames import Kind
from settlement.stages import extract

from .conftest import Platform, stage_day
from .test_worked_day import DAY

MONEY = ("amount", "principal", "outstanding", "allocated")


def is_money(column: str) -> bool:
    return column in MONEY or column.endswith("_amount")


def money_columns(bundle: frames.Inputs | frames.Outcome) -> Iterator[tuple[str, pd.Series]]:
    specs = frames.INPUTS if isinstance(bundle, frames.Inputs) else frames.OUTCOME
    for name in specs:
        frame = getattr(bundle, name)
        for column in frame.columns:
            if is_money(column):
                yield f"{name}.{column}", frame[column]
            assert not pd.api.types.is_float_dtype(frame[column].dtype), f"{name}.{column}"


def test_every_amount_of_every_frame_is_specified_as_int64() -> None:
    for spec in [*frames.INPUTS.values(), *frames.OUTCOME.values()]:
        for column in spec.columns:
            assert not is_money(column.name) or column.kind is Kind.AMOUNT, f"{spec.name}.{column.name}"
    assert Kind.AMOUNT.value == "int64"
    assert not any("float" in kind.value.lower() for kind in Kind)


@pytest.mark.parametrize("spec", frames.INPUTS.values(), ids=lambda spec: spec.name)
def test_an_amount_in_a_float_is_refused_at_the_boundary(spec: frames.Spec) -> None:
    for column in spec.columns:
        if column.kind is Kind.AMOUNT:
            frame = frames.build(spec).astype({column.name: np.float64})
            with pytest.raises(InvalidFrame, match=rf"\[{column.name}\]: dtype must be \[int64\]"):
                frames.check(frame, spec)


def test_no_column_of_either_database_can_hold_a_float(platform: Platform) -> None:
    assert (
        platform.rows(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where table_schema in ('ledger', 'reporting') and data_type in ('real', 'double precision')"
        )
        == []
    )
    kinds = platform.rows(
        "select distinct data_type from information_schema.columns where table_schema = 'ledger'"
        " and (column_name in ('amount', 'opening', 'closing', 'difference') or column_name like '%\\_amount')"
    )
    assert kinds == [("bigint",)]


def test_money_crosses_every_stage_as_whole_units(platform: Platform) -> None:
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))
    platform.bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 16), payer="홍길동")
    said = platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    with platform.services() as services:
        with services.ledger.books(read_only=True) as books:
            day = stage_day("2026-02-16")
            frozen = books.outcomes.frozen(day)
            assert frozen is not None
            for frame in (books.payouts.payables(), books.payouts.find(day.settlement_date)):
                assert {str(frame[name].dtype) for name in frame if is_money(str(name))} == {"int64"}
            read = [
                *map(asdict, books.days.totals(day.settlement_date)),
                *map(asdict, books.breaks.open()),
            ]
            assert {type(row[name]) for row in read for name in row if is_money(name)} <= {int, type(None)}
            assert type(books.journal.balance("client_bank", "KRW")) is int
        inputs = services.snapshots.load(extract.snapshot_name(day), input_sha256=frozen.input_sha256)
        for part in settle.settle_in_parts(inputs, services.policy, day.settlement_date):
            for bundle in (inputs, part):
                for name, values in money_columns(bundle):
                    assert values.dtype == np.int64, name
    assert not list(floats([said, read]))


def floats(value: Any) -> Iterator[float]:
    """Yield every float in what the stages hand to each other."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from floats(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from floats(part)
