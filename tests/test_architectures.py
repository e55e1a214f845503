"""Stages ask for properties of a potential, whatever its architecture."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nextrung.potentials.catalogue import FAMILIES, MODELS

PACKAGE = Path(__file__).parents[1] / "src" / "nextrung"
#: What knows architectures: a room of each, and the list of them all.
ROOMS = {PACKAGE / "potentials" / family.name for family in FAMILIES}
LISTS = {PACKAGE / "potentials" / f"{name}.py" for name in ("catalogue", "registry")}
#: Families of networks; ASE and torch-sim also have other uses.
NETWORKS = re.compile("chgnet|sevenn|mace|matgl", re.IGNORECASE)
#: The family of documents that were stored before there was another one.
OLD_DOCUMENTS = {
    "reports/pages/card_markdown.py": ["chgnet"],
    "schemas/fine_tuning.py": ["chgnet"],
}
#: Names of models, which a setting may have as its default or example.
NAMED = re.compile("|".join(re.escape(model.name) for model in MODELS))


def list_texts(source: str) -> list[str]:
    """Names and strings of code, without documentation."""
    tree = ast.parse(source)
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            texts.append(str(node.value))
        elif isinstance(node, ast.Name):
            texts.append(node.id)
        elif isinstance(node, ast.Attribute):
            texts.append(node.attr)
        elif isinstance(node, ast.alias):
            texts.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            texts.append(node.module or "")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            texts.append(node.name)
    return texts


def find_architectures(source: str) -> list[str]:
    """What names an architecture, besides names of models."""
    return [text for text in list_texts(source) if NETWORKS.search(NAMED.sub("", text))]


def test_no_stage_names_an_architecture() -> None:
    modules = [
        path
        for path in PACKAGE.rglob("*.py")
        if path not in LISTS and not ROOMS.intersection(path.parents)
    ]
    named = {
        str(path.relative_to(PACKAGE)): found
        for path in modules
        if (found := find_architectures(path.read_text()))
    }
    assert len(modules) > 200
    assert named == OLD_DOCUMENTS


@pytest.mark.parametrize(
    "source",
    [
        "import chgnet",
        "from nextrung.potentials.mace import backend",
        "def load_matgl(): ...",
        "family = 'SevenNet'",
        "model.chgnet",
        "name = 'chgnet-r2scan of chgnet'",
    ],
)
def test_an_architecture_would_be_found(source: str) -> None:
    assert find_architectures(source)


@pytest.mark.parametrize(
    "source", ["'''Of CHGNet.'''", "x = 'chgnet-r2scan'", "# of mace"]
)
def test_documentation_and_names_of_models_are_no_architectures(source: str) -> None:
    assert find_architectures(source) == []
