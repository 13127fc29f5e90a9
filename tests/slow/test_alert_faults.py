"""Nothing is lost or doubled: 10 000 alerts, a Slack that misbehaves, deletions, killed senders. About 10 minutes."""

from __future__ import annotations

import pytest

from . import alert_faults


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_every_alert_is_visible_once_and_in_order_after_kills_and_faults() -> None:
    counts = alert_faults.run(count=10_000, seed=1)
    print(counts)
    wrong = {name: counts[name] for name in ("doubled", "missing", "strange", "misplaced", "left")}
    assert wrong == {"doubled": 0, "missing": 0, "strange": 0, "misplaced": 0, "left": 0}
    assert counts["alerts"] > 10_000 and counts["kills"] > 10
    assert min(counts["slack"][what] for what in ("deleted", "proxy_before", "proxy_after", "cut_after")) > 10
