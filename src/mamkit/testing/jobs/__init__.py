"""What every `mamkit.jobs.Queue` must do, as tests: inherit, and give the fixtures `clock` and `queue`.

class TestMyQueue(QueueContract):
    @pytest.fixture
    def queue(self, clock):
        return MyQueue(clock=clock)
"""

from mamkit.testing.jobs._basis import LEASE, SECOND, START, ManualClock, claimed, new_job
from mamkit.testing.jobs.adding import AddingContract
from mamkit.testing.jobs.batches import BatchContract
from mamkit.testing.jobs.claims import ClaimContract
from mamkit.testing.jobs.clocks import ClockContract
from mamkit.testing.jobs.ends import EndContract
from mamkit.testing.jobs.events import EventContract
from mamkit.testing.jobs.leases import LeaseContract
from mamkit.testing.jobs.looking import LookingContract

__all__ = [
    "LEASE",
    "SECOND",
    "START",
    "BatchContract",
    "ClockContract",
    "EventContract",
    "ManualClock",
    "QueueContract",
    "claimed",
    "new_job",
]


class QueueContract(AddingContract, ClaimContract, LeaseContract, EndContract, LookingContract):
    """The obligations of a `Queue`.

    The fixture `queue` gives an empty one that tells the time by the fixture `clock`. For a backend whose time cannot
    be moved, override `clock` with an object whose `advance` really waits.
    """
