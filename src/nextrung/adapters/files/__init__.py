"""Files: artifacts, Parquet tables, JSON streams, study files, locks."""

from __future__ import annotations
