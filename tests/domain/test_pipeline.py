"""Things that are made ahead of their use."""

import threading
from collections.abc import Iterator

import pytest
from settlement.domain import pipeline


def test_items_come_in_their_order() -> None:
    assert list(pipeline.ahead([1, 2, 3], 2)) == [1, 2, 3]
    assert list(pipeline.ahead([], 2)) == []


def test_the_next_item_is_made_while_the_former_is_used() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    coming = pipeline.ahead(items(), 1)
    assert next(coming) == 1
    assert second.wait(10)
    assert list(coming) == [2]


def test_what_making_an_item_raises_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    coming = pipeline.ahead(items(), 1)
    assert next(coming) == 1
    with pytest.raises(ValueError, match="the second cannot be made"):
        next(coming)
