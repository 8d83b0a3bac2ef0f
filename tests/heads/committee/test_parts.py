"""The parts of a committee are read field by field, and what makes none is refused in one line."""

from __future__ import annotations

import json

import pytest

from tedm.errors import TedmError
from tedm.heads.committee.parts import Part, parts_from_json, timesteps_of

ONE = {"name": "one", "head": "mlp", "timesteps": [1, 50], "rows": "share", "members": 2, "settings": {"hidden": [4]}}
TWO = {"name": "two", "head": "logistic", "timesteps": [50], "rows": "concatenate"}
NET = {"name": "net", "head": "unet", "timesteps": [], "rows": "concatenate"}


def test_parts_are_read_and_written_as_json():
    parts = parts_from_json((ONE, TWO, NET))
    assert parts[0] == Part("one", "mlp", (1, 50), "share", 2, settings={"hidden": [4]})
    assert [part.looks_at_images for part in parts] == [False, False, True]
    assert parts_from_json(json.loads(json.dumps([part.to_json() for part in parts]))) == parts
    assert timesteps_of(parts) == (1, 50)


def test_a_part_counts_its_voters_and_the_length_of_its_rows():
    side = Part("side", "mlp", (1, 50, 400), "concatenate", 10)
    one, two, net = parts_from_json([ONE, TWO, NET])
    assert [part.voters(3) for part in (one, two, net, side)] == [2 * 2 * 3, 3, 1, 10 * 3]
    assert [part.features(5, 2) for part in (one, two, net, side)] == [5, 5, 2, 15]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": None}, r"part 1 of the committee: Expected `str`, got `null` - at `\$.head`"),
        ({"head": "forest"}, "the part 'one' of the committee: there is no head 'forest'; choose one of"),
        ({"head": "committee"}, "it is a committee itself; name the parts of that one among these"),
        ({"head": "unet"}, "unet looks at images and reads no timesteps; give it an empty list of them"),
        ({"timesteps": []}, "mlp reads timesteps; name one or more"),
        ({"timesteps": [1, 1]}, "timesteps should be whole numbers of at least 0, each once"),
        ({"timesteps": [-1]}, "timesteps should be whole numbers of at least 0, each once"),
        ({"timesteps": [1.5]}, "part 1 of the committee: Expected `int`, got `float` - at "),
        ({"timesteps": 50}, "Expected `array`, got `int`"),
        ({"rows": "shared"}, "Invalid enum value 'shared'"),
        ({"vote": "learned"}, "Invalid enum value 'learned'"),
        ({"members": 0}, "members is 0; it should be 1 to 65536"),
        ({"members": True}, "Expected `int`, got `bool`"),
        ({"members": 2, "head": "logistic", "settings": {}}, "2 members of logistic would be equal; give it one$"),
        ({"pixels_per_batch": 0}, "pixels_per_batch is 0"),
        ({"name": ""}, "the name is ''; it should be"),
        ({"name": "a\nb"}, r"the name is 'a\\nb'; it should be"),
        ({"name": "two"}, "two parts of the committee are called 'two'; give each a name of its own"),
        ({"weight": 2.0}, "part 1 of the committee has a field 'weight' that no part has; its fields are name, head"),
        ({"settings": []}, "Expected `object`, got `array`"),
        ({"settings": {"depth": 3}}, "the part 'one' of the committee: --params: mlp heads know no 'depth'; they know members"),
        ({"settings": {"iterations": "many"}}, "the part 'one' of the committee: iterations: Expected `int`, got `str`"),
        ({"settings": {"learning_rate": float("nan")}}, "learning_rate holds what is no finite number"),
        ({"settings": {"members": 3}}, "members is no setting of a part's head"),
        ({"settings": {"seed": 3}}, "seed is no setting of a part's head"),
    ],
)
def test_what_is_no_part_is_refused_in_one_line(change, message):
    with pytest.raises(TedmError, match=message) as raised:
        parts_from_json([{**ONE, **change}, TWO])
    assert "\n" not in str(raised.value)


def test_a_part_without_a_field_that_it_needs_is_refused():
    for name in ("name", "head", "timesteps", "rows"):
        with pytest.raises(TedmError, match=f"part 2 of the committee: Object missing required field `{name}`"):
            parts_from_json([ONE, {key: value for key, value in TWO.items() if key != name}])


def test_what_is_no_committee_is_refused_in_one_line():
    many = [{**TWO, "name": f"part {number}"} for number in range(17)]
    assert len(parts_from_json(many[:16])) == 16
    for values, message in (
        ([], "a committee has 2 to 16 parts, and none is named: name each with its head, timesteps and rows"),
        ([ONE], "a committee has 2 to 16 parts, and 1 is named"),
        (many, "a committee has 2 to 16 parts, and 17 are named"),
        ({"one": ONE, "two": TWO}, "the parts of a committee should be a list, as in"),
        ("mlp,unet", "the parts of a committee should be a list, as in"),
        (7, "the parts of a committee should be a list, as in"),
        ([ONE, "two"], "part 2 of the committee is 'two'; it should be an object with name, head"),
        ([NET, {**NET, "name": "more"}], "all parts of the committee look at images; add one that reads timesteps"),
    ):
        with pytest.raises(TedmError, match=message) as raised:
            parts_from_json(values)
        assert "\n" not in str(raised.value)
