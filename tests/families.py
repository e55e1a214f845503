"""Packages of the architectures, which no single environment has all of."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def require_family(family: str, package: str) -> None:
    """Skip the running test without a package; fail it where the family is required.

    ``NEXTRUNG_FAMILIES`` names the families that this environment has to test: each
    call of pytest in the Makefile sets it.
    """
    if find_spec(package) is not None:
        return
    reason = f"no {package}: install the extra `{family}`"
    if family in os.environ.get("NEXTRUNG_FAMILIES", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
