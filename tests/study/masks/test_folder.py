"""A folder of masks goes on where a run was stopped, ends in the same bytes, and is refused to anything else."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from processes import Forked

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.files import filled_folder
from tedm.heads import Cleaning, load_head, save_head
from tedm.store import FeatureStore
from tedm.study import predict_folder
from tedm.study.masks.folder import ABOUT, NOTED, MaskFolder, Means
from tedm.study.masks.inputs import Inputs

KINDS = ("entropy", "disagreement")
ROWS = [(0, "background", "#000000"), (255, "lung", "#e69f00")]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def none(extracted) -> Inputs:
    return Inputs(FeatureStore.open(extracted), [], {}, None)


DIES = """
import os, sys
from pathlib import Path
written = Path.replace
def replace(self, target):
    if {file!r} in self.name:
        os.kill(os.getpid(), {number})
    return written(self, target)
Path.replace = replace
from tedm.cli.predict import main
main(sys.argv[1:])
"""
STOPS = [
    (signal.SIGKILL, -signal.SIGKILL, "scan 5.png"),
    (signal.SIGTERM, 143, "scan 5-disagreement.png"),
    (signal.SIGINT, 130, "scan 6.png"),
]


@pytest.mark.parametrize(("number", "code", "file"), STOPS, ids=["killed", "terminated", "ctrl-c"])
def test_what_a_process_left_is_kept_and_ends_in_the_same_bytes(extracted, fitted, tmp_path, number, code, file):
    head, options = load_head(fitted), {"uncertainty": True, "probabilities": True}
    predict_folder(tmp_path / "whole", head, extracted, **options)
    script = tmp_path / "dies.py"
    script.write_text(DIES.format(file=file, number=int(number)))
    arguments = [fitted, extracted, tmp_path / "out", "--device", "cpu", "--uncertainty", "--probabilities"]
    process = Forked(script, arguments)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code
    assert (code < 0) or "what was finished is safe, run the same command again to go on" in said
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*scan 4*")}
    assert len(there) == 4
    assert not (tmp_path / "out" / "uncertainty.csv").exists()
    log: list[str] = []
    assert predict_folder(tmp_path / "out", head, extracted, log=log.append, **options) == ["scan 4", "scan 5", "scan 6"]
    done = 2 if file == "scan 6.png" else 1
    assert log == [f"{done} of 3 masks are in {tmp_path / 'out'} already"]
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_folder_that_is_done_stays_as_it_is_and_gets_back_what_was_deleted(extracted, fitted, tmp_path):
    head, calls = load_head(fitted), []
    predict_folder(tmp_path / "out", head, extracted, uncertainty=True)
    before = tree(tmp_path / "out")
    for lost in ((), ("scan 5.png",), ("uncertainty.csv", "uncertainty/scan 4-entropy.png")):
        for file in lost:
            (tmp_path / "out" / file).unlink()
        predict_folder(tmp_path / "out", head, extracted, uncertainty=True, log=calls.append)
        assert tree(tmp_path / "out") == before
    assert [line.split()[0] for line in calls] == ["3", "2"]  # without the table nothing is known of the means
    (tmp_path / "out" / "scan 6.png").write_bytes(b"")
    predict_folder(tmp_path / "out", head, extracted, uncertainty=True)
    assert tree(tmp_path / "out") == before


def test_a_head_that_is_saved_and_loaded_is_the_same_head(extracted, fitted, tmp_path):
    head = load_head(fitted)
    save_head(head, tmp_path / "copy")
    predict_folder(tmp_path / "out", head, extracted)
    predict_folder(tmp_path / "out", load_head(tmp_path / "copy"), extracted)


def test_masks_of_volumes_go_on_volume_by_volume(volume_study, tmp_path):
    head, options = load_head(volume_study / "tedm"), {"uncertainty": True}
    predict_folder(tmp_path / "whole", head, volume_study / "store", **options)
    script = tmp_path / "dies.py"
    script.write_text(DIES.format(file="again-dis", number=int(signal.SIGKILL)))
    process = Forked(script, [volume_study / "tedm", volume_study / "store", tmp_path / "out", "--uncertainty"])
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    told: list[tuple[int, int]] = []

    class Stage:
        def __init__(self, what: str) -> None:
            pass

        def __enter__(self) -> Any:
            return lambda done, total, remark=None: told.append((done, total))

        def __exit__(self, *error: object) -> None:
            pass

    predict_folder(tmp_path / "out", head, volume_study / "store", progress=Stage, **options)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert told[-1] == (11, 11)
    assert len(told) < 11


def test_anything_else_than_the_same_is_refused_in_one_line_before_the_work(extracted, fitted, dataset, checkpoint, tmp_path):
    head = load_head(fitted)
    shutil.copytree(dataset.parent, tmp_path / "images")
    images = tmp_path / "images" / "manifest.csv"
    live: dict[str, Any] = {"backbone": load_backbone(checkpoint), "device": "cpu"}
    predict_folder(tmp_path / "masks", head, extracted)
    predict_folder(tmp_path / "live", head, images, **live)
    before = tree(tmp_path / "masks"), tree(tmp_path / "live")
    other = replace(head, provenance=replace(head.provenance, seed=7))
    cases: list[tuple[str, Any, Path, dict[str, Any], str]] = [
        ("masks", other, extracted, {}, r"head: \w+ there, \w+ here"),
        ("masks", head, extracted, {"rule": "hard"}, "vote: soft there, hard here"),
        ("masks", head, extracted, {"timesteps": [50]}, r"timesteps: \[1, 50\] there, \[50\] here"),
        ("masks", head, extracted, {"cleaning": Cleaning(largest=1)}, "cleaning: none there, largest=1 here"),
        ("masks", head, extracted, {"uncertainty": True}, "uncertainty: false there, true here"),
        ("masks", head, extracted, {"probabilities": True}, "probabilities: false there, true here"),
        ("masks", head, extracted, {"split": "train"}, "images: their names, or what is in them, are others"),
        ("masks", head, images, live, "arithmetic: the store's there, .* here"),
    ]
    for folder, own, source, options, said in cases:
        with pytest.raises(TedmError, match=rf"{folder} holds masks that were made otherwise \(.*{said}.*\); repeat") as caught:
            predict_folder(tmp_path / folder, own, source, **options)
        assert "\n" not in str(caught.value)
    with Image.open(tmp_path / "images" / "images" / "scan 5.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "images" / "images" / "scan 5.png")
    with pytest.raises(TedmError, match="live holds masks that were made otherwise .images: their names, or what is in them, "):
        predict_folder(tmp_path / "live", head, images, **live)
    assert (tree(tmp_path / "masks"), tree(tmp_path / "live")) == before


def test_images_that_were_copied_or_touched_go_on_and_others_in_their_place_do_not(fitted, dataset, checkpoint, tmp_path):
    shutil.copytree(dataset.parent, tmp_path / "images")
    head, live = load_head(fitted), {"backbone": load_backbone(checkpoint), "device": "cpu"}
    images, masks = tmp_path / "images" / "manifest.csv", tmp_path / "masks"
    names = predict_folder(masks, head, images, **live)
    before = tree(masks)
    (masks / f"{names[0]}.png").unlink()
    for file in (tmp_path / "images" / "images").iterdir():
        os.utime(file, ns=(0, 0))
    log: list[str] = []
    assert predict_folder(masks, head, images, log=log.append, **live) == names
    assert log == [f"{len(names) - 1} of {len(names)} masks are in {masks} already"]
    after = tree(masks)
    assert after.pop(ABOUT) != before.pop(ABOUT)
    assert after == before
    about = json.loads((masks / ABOUT).read_text())
    del about["content of images"]  # as it was before contents were noted
    (masks / ABOUT).write_text(json.dumps(about))
    predict_folder(masks, head, images, **live)
    os.utime(tmp_path / "images" / "images" / "scan 5.png", ns=(1, 1))
    with pytest.raises(TedmError, match="images: their names, or the sizes or times of their files, are others"):
        predict_folder(masks, head, images, **live)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 200 + b"]" * 200])
def test_a_description_that_cannot_be_read_is_said_in_one_line(tmp_path, none, content):
    (tmp_path / ABOUT).write_bytes(content)
    with pytest.raises(TedmError, match=rf"{ABOUT} .*; name another folder, or delete this one$") as caught:
        MaskFolder(tmp_path, {"head": "a"}, none).require(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_mask_may_become_another_ones(none, tmp_path):
    masks = MaskFolder(tmp_path / "out", {"head": "a"}, none)
    with filled_folder(tmp_path / "out", require=masks.require):
        masks.begin(ROWS, ["uncertainty"])
        masks.begin(ROWS, ["uncertainty"])
    (tmp_path / "out" / ".scan.png.partial").write_bytes(b"torn")
    other = MaskFolder(tmp_path / "out", {"head": "b"}, none)
    other.require(tmp_path / "out")
    other.begin(ROWS, [])
    said = json.loads((tmp_path / "out" / ABOUT).read_text())
    assert said == {"head": "b", "images": none.listed(), "content of images": none.content()}
    assert (tmp_path / "out" / "classes.csv").read_text() == "value,name,colour\n0,background,#000000\n255,lung,#e69f00\n"
    (tmp_path / "out" / "scan.png").write_bytes(b"mask")
    with pytest.raises(TedmError, match="out holds masks that were made otherwise"):
        masks.require(tmp_path / "out")
    (tmp_path / "out" / ABOUT).unlink()
    with pytest.raises(TedmError, match="out exists and is not empty"):
        masks.require(tmp_path / "out")


def test_a_torn_line_of_means_is_computed_again_and_whole_ones_are_kept(tmp_path):
    first = Means(tmp_path, KINDS)
    first.note("a", {"entropy": 0.25, "disagreement": 0.5})
    first.note("=1, b", {"entropy": 1 / 3, "disagreement": 0})
    with (tmp_path / NOTED).open("ab") as file:
        file.write(b'["c", "0.1"]\nnonsense\n["d", "0.1", "x"]\n["e", "0.25", "0.7500')
    second = Means(tmp_path, KINDS)
    assert [name in second for name in ("a", "=1, b", "c", "d", "e")] == [True, True, False, False, False]
    second.note("e", {"entropy": 0.25, "disagreement": 0.75})
    second.finish(["=1, b", "a", "e"])
    assert (tmp_path / "uncertainty.csv").read_text().splitlines() == [
        "image,entropy,disagreement",
        '"\'=1, b",0.333333,0.000000',
        "a,0.250000,0.500000",
        "e,0.250000,0.750000",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["uncertainty.csv"]
    assert "=1, b" in Means(tmp_path, KINDS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_means_that_do_not_fit_on_the_disk_are_said(tmp_path):
    means = Means(tmp_path, KINDS)
    means.note("a", {"entropy": 0.25, "disagreement": 0.5})
    (tmp_path / NOTED).replace(tmp_path / "kept")
    (tmp_path / NOTED).symlink_to("/dev/full")
    with pytest.raises(TedmError, match=r"cannot write .*uncertainty: No space left on device; make room; what was written"):
        means.note("b", {"entropy": 0.25, "disagreement": 0.5})
