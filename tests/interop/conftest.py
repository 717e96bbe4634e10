"""The npm packages, or the reason why the tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from .node import Unavailable, installed


@pytest.fixture(scope="session")
def packages() -> Path:
    """Where Node finds the packages."""
    try:
        return installed()
    except Unavailable as reason:
        pytest.skip(str(reason))
