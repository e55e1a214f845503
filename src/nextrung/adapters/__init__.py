"""What is touched: data sources, files, stores and databases."""

from __future__ import annotations
