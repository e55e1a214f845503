"""Page of a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import format_count
from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.sections.benchmark.results import report_benchmark

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.benchmark import BenchmarkResults


def write_benchmark(results: BenchmarkResults, path: Path) -> None:
    """Write the benchmarks of one or several models as a page.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.
    path : Path
        The HTML file, replaced atomically.
    """
    title = f"{format_count(len(results.models), 'potential')} against experiment"
    header = build_header("benchmark", title, ())
    write_page(path, title, header=header, sections=report_benchmark(results))
