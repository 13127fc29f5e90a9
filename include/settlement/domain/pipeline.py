"""Work on one thing while the next ones are made: what is slow to make and slow to use goes on side by side."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield the items, of which so many are made ahead by a thread of their own while the others are waited for.

    What making one raises is raised where it would have been yielded.
    """
    iterator, end = iter(items), cast(Item, object())
    with ThreadPoolExecutor(1) as maker:
        made = deque(maker.submit(next, iterator, end) for _ in range(count))
        while (item := made.popleft().result()) is not end:
            made.append(maker.submit(next, iterator, end))
            yield item
