"""Pages of reports, and files of their figures."""

from __future__ import annotations
