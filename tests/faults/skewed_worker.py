"""`python -m tests.faults.skewed_worker SECONDS`: a worker whose clock is so many seconds ahead, or behind if negative.

Everything of mamkit reads the time through `mamkit.clock`, and what others read is `time.time`.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

from mamkit import clock

SKEW = float(sys.argv.pop(1))
_true_time = time.time


def _now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=SKEW)


if __name__ == "__main__":
    clock.utc_now = _now
    time.time = lambda: _true_time() + SKEW
    from mamkit_apps.cli import main

    sys.argv[1:] = ["worker"]
    main()
