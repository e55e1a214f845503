"""Figures and the data behind them."""

from __future__ import annotations
