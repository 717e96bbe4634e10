"""The fault matrix: what can go wrong, as data, and how each client must come out of it."""

import pytest

pytest.register_assert_rewrite("tests.faults.fault", "tests.faults.trial")  # a failure shows what it compared
