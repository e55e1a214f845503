"""Job stores, result collections and queries on them."""

from __future__ import annotations
