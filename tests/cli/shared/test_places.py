"""Arguments that are given the wrong way round: put right where that loses nothing, else said how they should stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trees import tree

from tedm.__main__ import main
from tedm.cli.shared.places import straighten, what_is
from tedm.errors import TedmError


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_store_and_a_head_are_told_from_all_else(extracted, fitted, tmp_path):
    (tmp_path / "zarr.json").write_text("{}")
    assert [what_is(place) for place in (extracted, fitted, tmp_path, "s3://bucket/a", None)] == ["store", "head", "", "", ""]


def test_evaluate_takes_its_heads_and_its_store_in_any_order(extracted, fitted):
    right, wrong = call("evaluate", extracted, fitted), call("evaluate", fitted, extracted)
    assert wrong.exit_code == 0, wrong.stderr
    assert wrong.stdout == right.stdout
    assert f"note: taken as tedm-evaluate {extracted} {fitted}" in wrong.stderr
    assert "note: taken" not in right.stderr


def test_readers_are_put_in_order(extracted, fitted, tmp_path):
    params: dict[str, object] = {"store": fitted, "heads": (fitted.parent / "other", extracted)}
    with pytest.raises(TedmError, match="is a head and stands where STORE belongs; tedm-evaluate takes STORE HEAD..."):
        straighten("evaluate", params)  # what is at `other` is not known
    params = {"store": fitted, "head": extracted}
    straighten("rank", params)
    assert params == {"store": extracted, "head": fitted}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("fit NEW STORE", "STORE is a feature store and stands where HEAD belongs; write tedm-fit STORE NEW"),
        ("fit HEAD STORE", "HEAD is a head and stands where STORE belongs; write tedm-fit STORE HEAD"),
        ("fit STORE STORE", "STORE is a feature store and stands where HEAD belongs; tedm-fit takes STORE HEAD"),
        ("label CSV STORE", "STORE is a feature store and stands where MANIFEST belongs; write tedm-label STORE CSV"),
        ("label HEAD CSV", "HEAD is a head and stands where STORE belongs; tedm-label takes STORE MANIFEST"),
        ("extract STORE IMAGES", "STORE is a feature store and stands where IMAGES belongs; write tedm-extract IMAGES STORE"),
        ("extract IMAGES HEAD", "HEAD is a head and stands where STORE belongs; tedm-extract takes IMAGES STORE"),
        ("export-nnunet NEW STORE", "stands where OUT_FOLDER belongs; write tedm-export-nnunet STORE NEW"),
        ("probe HEAD", "HEAD is a head and stands where STORE belongs; tedm-probe takes STORE"),
        ("verify HEAD", "HEAD is a head and stands where STORE belongs; tedm-verify takes STORE"),
        ("rank STORE STORE", "STORE is a feature store and stands where HEAD belongs; tedm-rank takes STORE HEAD"),
        ("evaluate HEAD HEAD", "HEAD is a head and stands where STORE belongs; tedm-evaluate takes STORE HEAD..."),
        ("export NEW HEAD", "HEAD is what is to be read, and stands second; write tedm-export HEAD NEW"),
        ("study NEW CSV", "CSV is what is to be read, and stands second; write tedm-study CSV NEW"),
        ("study IMAGES CSV", "CSV is what is to be read, and stands second; write tedm-study CSV IMAGES"),
    ],
)
def test_what_would_be_written_to_is_not_guessed_but_said(extracted, fitted, dataset, tmp_path, typed, said):
    places = {"STORE": extracted, "HEAD": fitted, "CSV": dataset, "IMAGES": dataset.parent, "NEW": tmp_path / "new"}
    before = tree(extracted), tree(fitted)
    command, *arguments = typed.split()
    result = call(command, *(places[each] for each in arguments))
    assert result.exit_code == 1, result.output
    line = result.stderr.strip()
    assert line.count("\n") == 0
    for word, place in sorted(places.items(), key=lambda each: -len(str(each[1]))):
        line = line.replace(str(place), word)
    assert line.startswith("tedm: ")
    assert said in line
    assert (tree(extracted), tree(fitted)) == before
    assert not (tmp_path / "new").exists()


def test_what_stands_in_its_place_is_left_alone(extracted, fitted):
    params: dict[str, object] = {"store": extracted, "heads": (fitted,)}
    straighten("evaluate", params)
    straighten("fit", fit := {"store": extracted, "head": Path("new")})
    straighten("inspect", {"what": fitted})
    assert params == {"store": extracted, "heads": (fitted,)}
    assert fit == {"store": extracted, "head": Path("new")}
