"""What every backend does about a clock that goes back.

A moment that lies ahead means "in so long" only by the clock that it was taken from. So each job keeps beside the
moment that it waits for (`run_at`, or the end of its lease) the one at which that was set. If the latter lies ahead,
too, then the clock has gone back meanwhile, and what is waited for comes as long after the present as it was to come
then: a dead worker's job waits for one term of its lease more, and not for as long as the clock has gone back. A job
that was put in without a delay waits for no clock.
"""

from datetime import timedelta

__all__ = ["SLACK"]

SLACK = timedelta(seconds=1)
"""How far ahead a moment may lie before the clock has gone back: two processes that ask at once are not in order."""
