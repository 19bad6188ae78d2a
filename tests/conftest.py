"""What all tests share: readable failures of the contract suites, and one set of rules for hypothesis."""

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("mamkit.testing")

# No time limits: a machine that is busy is no failure. No store of examples: tests write under `tmp_path` only.
settings.register_profile("mamkit", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mamkit")
