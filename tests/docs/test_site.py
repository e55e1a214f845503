"""The documentation site: its generated references are whole, its blocks run."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import yaml

import nextrung
from nextrung.cli import app
from nextrung.reports.sections.published_values import CITATION
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.labels.curation import Rule
from nextrung.schemas.study import StudySettings
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
GENERATED = {
    f"reference/{name}.md" for name in ("study", "studies", "commands", "records")
}


def load_hook(name: str) -> Any:  # noqa: ANN401
    """Load a hook as mkdocs does, by its path."""
    spec = spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_commands = load_hook("command_reference").write_commands
write_records = load_hook("record_reference").write_records
write_keys = load_hook("study_reference").write_keys
write_studies = load_hook("study_reference").write_studies
run_blocks = load_hook("run_blocks").run_blocks


def read_page(name: str) -> str:
    return (DOCS / name).read_text()


def cut_sections(page: str) -> dict[str, str]:
    """The text below each heading, by the heading."""
    parts = re.split(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def list_rows(section: str) -> list[list[str]]:
    """The cells of the tables of a section, headers left out."""
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
    rows = [re.split(r" (?<!\\)\| ", line) for line in lines]
    return [row for row in rows if row[0].startswith("`")]


def test_every_key_of_a_study_file_is_explained() -> None:
    schema = StudySettings.model_json_schema()
    records = [schema, *schema["$defs"].values()]
    expected = {tuple(r["properties"]) for r in records if "enum" not in r}

    sections = cut_sections(write_keys()).values()
    tables = [rows for section in sections if (rows := list_rows(section))]

    assert {tuple(row[0].strip("`") for row in rows) for rows in tables} == expected
    assert all(len(row) == 4 and all(row) for rows in tables for row in rows)


def test_defaults_of_the_reference_are_those_of_the_record() -> None:
    sections = cut_sections(write_keys())
    (section,) = (text for title, text in sections.items() if "#training " in title)
    defaults = {row[0].strip("`"): row[2] for row in list_rows(section)}

    assert defaults.pop("loss_weights") == "its defaults"
    assert {
        key: yaml.safe_load(text.strip("`")) for key, text in defaults.items()
    } == FineTuningSettings().model_dump(mode="json", exclude={"loss_weights"})


def test_models_are_listed_by_name_beside_recipes_of_the_study() -> None:
    rows = [r for s in cut_sections(write_keys()).values() for r in list_rows(s)]
    described = [row[1] for row in rows if row[0] == "`models`"]

    with_recipes = [text for text in described if "models[]" in text]
    assert len(with_recipes) == 2  # of the study and of its preflight
    assert all("`residual_atom_refs` or " in text for text in with_recipes)


def test_keys_lead_to_sections_of_the_page() -> None:
    page = write_keys()

    anchors = re.findall(r"\{ #(\S+)", page)
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors)


def test_every_study_file_is_shown_whole() -> None:
    page = write_studies()

    files = list((ROOT / "workflows").glob("*.yaml"))
    assert files
    assert all(file.read_text() in page for file in files)


def test_every_record_is_listed() -> None:
    sections = cut_sections(write_records())
    listed = {title.partition(" {")[0] for title in sections if "{ #" in title}

    defined = {
        node.name
        for path in (ROOT / "src/nextrung/schemas").rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.bases
    }
    assert listed == {
        name
        for name in defined
        if not name.startswith("_") and name not in {"InputError", "Frames"}
    }


def visit(command: Any, context: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Every command that is no group, with its whole name."""
    if not hasattr(command, "list_commands"):
        yield context.command_path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        yield from visit(child, type(context)(child, info_name=name, parent=context))


def test_every_command_is_listed_with_its_parameters() -> None:
    root = typer.main.get_command(app)
    context: Any = root.make_context("nextrung", [], resilient_parsing=True)
    sections = cut_sections(write_commands())
    commands = dict(visit(root, context))

    assert set(sections) == {"Command line", *commands}
    for path, command in commands.items():
        options = [p for p in command.params if p.param_type_name == "option"]
        assert len(list_rows(sections[path])) == len(command.params)
        assert all(name in sections[path] for option in options for name in option.opts)


def list_shown_commands() -> Iterator[tuple[str, str]]:
    """Every call of nextrung in the pages, with the page."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for block in re.findall(r"(?s)```bash\n(.*?)```", text):
            for call in re.findall(r"(?m)^(?:.*&& )?(nextrung .*)$", block):
                yield re.split(r"\|\|| > ", call)[0], page.name


def test_commands_that_pages_show_exist_with_their_options() -> None:
    sections = cut_sections(write_commands())
    shown = list(list_shown_commands())

    for call, page in shown:
        words = shlex.split(call, comments=True)
        known = [
            text
            for path, text in sections.items()
            if f"{' '.join(words)} ".startswith(f"{path} ")
        ]
        assert known, f"{page}: {call}"
        options = [word for word in words if re.match("--?[a-z]", word)]
        assert all(option in known[0] for option in options), f"{page}: {call}"
    assert len(shown) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Anchors are checked when the site is built."""
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if link.startswith("https://"):
            continue
        target = (page.parent / link).resolve()
        generated = target.is_relative_to(DOCS) and (
            target.relative_to(DOCS).as_posix() in GENERATED
        )
        assert generated or target.exists(), link


@pytest.mark.parametrize("page", ["docs/developers.md", "CONTRIBUTING.md"])
def test_paths_of_the_code_are_there(page: str) -> None:
    layers = "schemas|compute|potentials|adapters|makers|reports|docs|benchmarks"
    named = re.findall(rf"`((?:{layers})/[^`]*)`", (ROOT / page).read_text())

    paths = [path for path in named if "NAME" not in path]
    assert len(paths) > 5
    for path in paths:
        assert (ROOT / "src/nextrung" / path).exists() or (ROOT / path).exists(), path


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))

    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert named == written | GENERATED


def find_threshold(name: str) -> float:
    """A key of a study file by its path, or a constant by its module."""
    parents, _, last = name.rpartition(".")
    if parents.startswith("nextrung."):
        return float(getattr(importlib.import_module(parents), last))
    section = getattr(StudySettings(name="defaults"), parents)
    return float(getattr(section, last))


def test_thresholds_of_verdicts_are_those_of_the_code() -> None:
    (section,) = (
        text
        for title, text in cut_sections(read_page("verdicts.md")).items()
        if title == "Thresholds"
    )
    rows = list_rows(section)

    assert len(rows) > 10
    for name, value in rows:
        assert find_threshold(name.split("`")[1]) == float(value), name


def test_rules_of_curation_are_listed_in_their_order() -> None:
    rows = list_rows(cut_sections(read_page("sources.md"))["What happens to them"])

    assert [row[0].strip("`") for row in rows] == list(Rule)


def test_extras_and_variables_are_those_of_the_project() -> None:
    sections = cut_sections(read_page("install.md"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {row[0].strip("`") for row in list_rows(sections["Extras"])}
    variables = list_rows(sections["What differs between machines"])

    assert extras == set(project["optional-dependencies"])
    assert {row[0].strip("`") for row in variables} == {
        f"NEXTRUNG_{name.upper()}" for name in MachineSettings.model_fields
    }


def test_citation_names_the_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())

    assert citation["version"] == nextrung.__version__
    assert citation["preferred-citation"]["doi"] in CITATION


def test_blocks_print_below_themselves() -> None:
    text = "```python run\na = 2\nprint(a)\n```\nx\n```python run\nprint(a + 1)\n```\n"

    shown = run_blocks(text, "page", {})

    assert re.findall(r'```text title="prints"\n(.*?)\n```', shown) == ["2", "3"]
    assert "python run" not in shown


def test_other_blocks_do_not_run() -> None:
    text = "```python\nraise ValueError\n```\n"

    assert run_blocks(text, "page", {}) == text


def test_figures_are_drawn_below_their_block() -> None:
    text = "```python run\nfrom matplotlib import pyplot\npyplot.plot([1, 2])\n```\n"

    shown = run_blocks(text, "page", {})

    assert shown.count("<svg") == 1
    assert run_blocks(text, "page", {}) == shown


def test_errors_fall_with_every_step_of_the_argument() -> None:
    shown = run_blocks(read_page("argument.md"), "argument.md", {})

    total = re.search(r"correlation of total energies: ([\d.]+)", shown)
    found = re.findall(r"(none|refit|residual) +(\S+) +(\d+) meV/atom", shown)
    assert total is not None
    assert [kind for kind, *_ in found] == ["none", "refit", "residual"]
    correlations = [float(correlation) for _, correlation, _ in found]
    errors = [int(error) for *_, error in found]
    assert float(total[1]) < 0.5 < correlations[1] < correlations[2]
    assert errors[0] > 5 * errors[1] > 10 * errors[2]
    assert shown.count("<svg") == 1


def test_a_source_of_ones_own_is_read_and_filtered() -> None:
    shown = run_blocks(read_page("sources.md"), "sources.md", {})

    assert "kept: MnO\n" in shown
    assert "FeO: hubbard_u: " in shown
    assert "CoO: incomplete_file: expected an energy, got none" in shown


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_python_of_the_first_page_runs(page: str) -> None:
    text = (ROOT / page).read_text().replace("```python\n", "```python run\n")
    names: dict[str, Any] = {}

    run_blocks(text, page, names)

    assert names["potential"].functional == "r2SCAN"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of the site: of ``$NEXTRUNG_SITE``, where CI has just built it."""
    if built := os.environ.get("NEXTRUNG_SITE"):
        return Path(built)
    subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return tmp_path


@pytest.mark.slow
def test_the_site_asks_no_other_server(site: Path) -> None:
    """Fonts, scripts and styles come with the pages."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        tags = re.findall(r"<(?:script|img|iframe|link) [^>]*>", page.read_text())
        assert not [tag for tag in tags if "http:" in tag or "https:" in tag]
