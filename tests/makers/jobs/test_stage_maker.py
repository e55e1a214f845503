from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from jobflow import Maker
from pydantic import Field

from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.schemas.base import InputError, Record
from nextrung.schemas.models import Model


class Square(Record):
    kind: Literal["square"] = "square"
    side: float = 1


class Circle(Record):
    kind: Literal["circle"] = "circle"
    radius: float


class ShapeSettings(Record):
    shape: Square | Circle = Square()
    colours: dict[str, int] = Field(default_factory=lambda: {"red": 1})
    size: int = 2


@dataclass(kw_only=True)
class ShapeMaker(StageMaker):
    name: str = "shape"
    settings: ShapeSettings = field(default_factory=ShapeSettings)
    model: Model = Model.SOURCE


@dataclass
class OuterMaker(Maker):
    """A Maker of someone else, with one of ours inside."""

    inner: ShapeMaker
    name: str = "outer"


WIDE = ShapeSettings(shape=Square(side=3), size=5)


def test_a_mapping_in_the_place_of_a_record_is_validated() -> None:
    assert ShapeMaker(settings={"size": "7"}).settings == ShapeSettings(size=7)  # type: ignore[arg-type]


def test_a_mapping_that_is_assigned_changes_the_keys_it_names() -> None:
    maker = ShapeMaker(settings=WIDE)
    maker.settings = {"shape": {"side": 4}}  # type: ignore[assignment]
    assert maker.settings == ShapeSettings(shape=Square(side=4), size=5)


def test_a_dictionary_in_a_record_is_replaced_whole() -> None:
    maker = ShapeMaker().update_kwargs({"settings": {"colours": {"blue": 2}}})
    assert maker.settings.colours == {"blue": 2}


def test_another_kind_of_record_takes_nothing_from_the_one_before() -> None:
    changed = {"shape": {"kind": "circle", "radius": 2}}
    maker = ShapeMaker(settings=WIDE).update_kwargs({"settings": changed})
    assert maker.settings == ShapeSettings(shape=Circle(radius=2), size=5)


def test_an_enum_is_restored_from_its_value() -> None:
    assert ShapeMaker(model="scratch").model is Model.SCRATCH  # type: ignore[arg-type]


def test_the_updated_maker_is_another() -> None:
    maker = ShapeMaker(settings=WIDE)
    maker.update_kwargs({"settings": {"size": 1}})
    assert maker.settings == WIDE


def test_filters_choose_the_makers_that_are_updated() -> None:
    maker = ShapeMaker(settings=WIDE)
    change = {"settings": {"size": 1}}
    assert maker.update_kwargs(change, name_filter="other") == maker
    assert maker.update_kwargs(change, class_filter=OuterMaker) == maker
    assert maker.update_kwargs(change, name_filter="sha").settings.size == 1


def test_a_maker_inside_of_another_is_updated() -> None:
    outer = OuterMaker(ShapeMaker(settings=WIDE))
    change = {"settings": {"shape": {"side": 4}}}
    paths = {"_set": {"settings->shape->side": 4}}
    for updated in (
        outer.update_kwargs(change, class_filter=ShapeMaker),
        outer.update_kwargs(paths, class_filter=ShapeMaker, dict_mod=True),
    ):
        assert updated.inner.settings == ShapeSettings(shape=Square(side=4), size=5)


def test_an_unknown_field_names_the_nearest_one() -> None:
    message = "of ShapeMaker: name, .*model; got setings; did you mean settings"
    with pytest.raises(InputError, match=message):
        ShapeMaker().update_kwargs({"setings": {}})
    with pytest.raises(InputError, match=message):
        ShapeMaker.from_dict({"setings": {}})


def test_an_unknown_key_names_the_nearest_one() -> None:
    message = r"ShapeMaker.settings: shape.*sidee: unknown key; did you mean side\?"
    with pytest.raises(InputError, match=message):
        ShapeMaker().update_kwargs({"settings": {"shape": {"sidee": 1}}})
