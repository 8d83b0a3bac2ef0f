"""Tables of classes: what they say, beside what they lie, and all that may be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract.images.listing.legend import NO_LEGEND, Legend, legend_beside, read_legend


def table(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "classes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_says_values_names_and_colours_in_its_order(tmp_path):
    path = table(tmp_path, "\ufeffName, VALUE,Color", "left thalamus,10,#00FF00", ",,", '"rest, all of it",0,#000000')
    legend = read_legend(path)
    assert list(legend.names.items()) == [(10, "left thalamus"), (0, "rest, all of it")]
    assert legend.colours == {10: "#00ff00", 0: "#000000"}
    assert (legend.where, legend.ignore) == (str(path), None)


def test_classes_that_a_legend_does_not_name_are_called_by_their_value(tmp_path):
    legend = Legend({0: "background", 2: "lung"}, {0: "#000000", 2: "#ff0000"})
    assert legend.of((0, 2)) == (("background", "lung"), ("#000000", "#ff0000"))
    assert legend.of((2, 7)) == (("lung", "class 7"), ())
    assert NO_LEGEND.of((0, 2)) == ((), ())


@pytest.mark.parametrize("name", ["study", "study.v2"])
def test_it_lies_in_a_folder_or_beside_a_table_and_is_none_of_an_image(tmp_path, name):
    folder = tmp_path / name
    table(folder, "value,name", "1,lung")
    for image in ("a.nii.gz", "1.2.840.7", "series"):
        (folder / image).touch()
        assert legend_beside(folder / image) == NO_LEGEND
    assert legend_beside(folder).names == legend_beside(folder / "list.CSV").names == {1: "lung"}
    assert legend_beside(tmp_path) == NO_LEGEND


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["value,name", "one,lung"], "line 2: value 'one' is no whole number"),
        (["value,name", "1.0,lung"], "line 2: value '1.0' is no whole number"),
        (["value,name", "1,lung", "1,heart"], "line 3: value 1 is there twice"),
        (["value,name", "1,lung", "2,lung"], "line 3: name 'lung' is that of class 1 too"),
        (["value,name", "1,"], "line 2: name ''; a class is called by 1 to 200 characters"),
        (["value,name", "1,lu\tng"], "line 2: name 'lu.tng'"),
        (["value,name", "1"], "line 2: name ''"),
        (["value,name,colour", "1,lung,red"], "line 2: colour 'red'; write it as #ff8000"),
        (["value,name,colour", "0,rest,", "1,lung,#ff0000"], "class 0 has no colour, and others have one"),
        (["label,name", "1,lung"], "columns are label, name; a table of classes has value and name"),
        (["value;name", "1;lung"], "columns are value;name"),
        (["value,name"], "no class in it"),
        ([], "columns are none"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_its_path(tmp_path, lines, said):
    path = table(tmp_path, *lines)
    with pytest.raises(TedmError, match=said) as caught:
        read_legend(path)
    assert str(caught.value).startswith(str(path))


def test_a_table_in_another_encoding_and_a_folder_of_its_name_are_refused(tmp_path):
    (tmp_path / "classes.csv").write_bytes(b"value,name\n1,L\xfcnge\n")
    with pytest.raises(TedmError, match="no table of classes .* save it as CSV in UTF-8"):
        read_legend(tmp_path / "classes.csv")
    with pytest.raises(TedmError, match="no plain file"):
        read_legend(tmp_path)
