"""Files: artifacts, Parquet tables, JSON, study files, locks."""

from __future__ import annotations
