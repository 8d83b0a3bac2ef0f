"""What may be wrong with the files of one patient, said in one line each before any work."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image
from volume_files import OBLIQUE, SHAPE, brain_of, head, labels_of, save

from tedm.errors import TedmError
from tedm.extract.images import VolumeOptions, read_manifest

MOVED = OBLIQUE + np.array([[0, 0, 0, 4.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def spoil(folder, what, rng):
    """Write a patient of whom one thing is wrong."""
    save(folder / "a.nii.gz", head(rng))
    save(folder / "b.nii.gz", head(rng))
    save(folder / "mask.nii.gz", labels_of())
    save(folder / "brain.nii.gz", brain_of().astype(np.uint8))
    match what:
        case "modality of another shape":
            save(folder / "b.nii.gz", head(rng, shape=(8, 9, 6)))
        case "modality elsewhere":
            save(folder / "b.nii.gz", head(rng), MOVED)
        case "modality that is a picture":
            Image.new("L", (9, 8)).save(folder / "b.png")
        case "modality of 4D":
            save(folder / "b.nii.gz", np.stack([head(rng)] * 2, axis=-1))
        case "truncated modality":
            whole = (folder / "b.nii.gz").read_bytes()
            (folder / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
        case "missing modality":
            (folder / "b.nii.gz").unlink()
        case "mask elsewhere":
            save(folder / "mask.nii.gz", labels_of(), MOVED)
        case "mask of another shape":
            save(folder / "mask.nii.gz", labels_of((9, 8, 5)))
        case "mask that is a picture":
            Image.new("L", (9, 8)).save(folder / "mask.png")
        case "mask beyond the classes":
            labels = labels_of()
            labels[3, 3, 3] = 9
            save(folder / "mask.nii.gz", labels)
        case "brain mask elsewhere":
            save(folder / "brain.nii.gz", brain_of().astype(np.uint8), MOVED)
        case "empty brain mask":
            save(folder / "brain.nii.gz", np.zeros(SHAPE, np.uint8))
    files = {"b": "b.png" if "modality that is a picture" in what else "b.nii.gz"}
    mask = "mask.png" if what == "mask that is a picture" else "mask.nii.gz"
    (folder / "m.csv").write_text(f"name,t1,t2,mask,brainmask\np,a.nii.gz,{files['b']},{mask},brain.nii.gz\n")
    return folder / "m.csv"


TWO = VolumeOptions(channels=("t1", "t2"))
WRONG = {
    "modality of another shape": r"image {}/b\.nii\.gz has 8 x 9 x 6 voxels and {}/a\.nii\.gz 8 x 9 x 5; resample",
    "modality elsewhere": r"image {}/b\.nii\.gz and {}/a\.nii\.gz lie up to 4 mm apart",
    "modality that is a picture": r"image {}/b\.png: no volume, and {}/a\.nii\.gz is one",
    "modality of 4D": r"image {}/b\.nii\.gz: a 4D file of 2 volumes",
    "truncated modality": r"image {}/b\.nii\.gz: cut off",
    "missing modality": r"image {}/b\.nii\.gz: no such file",
    "mask elsewhere": r"mask {}/mask\.nii\.gz and the volume p lie up to 4 mm apart",
    "mask of another shape": r"mask {}/mask\.nii\.gz has 9 x 8 x 5 voxels and the volume p 8 x 9 x 5",
    "mask that is a picture": r"mask {}/mask\.png: no volume, and its image is one",
    "mask beyond the classes": r"mask {}/mask\.nii\.gz: .*9",
    "brain mask elsewhere": r"brain mask {}/brain\.nii\.gz and the volume p lie up to 4 mm apart",
    "empty brain mask": r"brain mask {}/brain\.nii\.gz: it holds nothing but 0",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line_with_its_file(tmp_path, rng, what):
    with pytest.raises(TedmError, match=rf"line 2: {WRONG[what].replace('{}', str(tmp_path))}") as refused:
        read_manifest(spoil(tmp_path, what, rng), options=TWO, classes=(0, 3, 7))
    assert str(refused.value).count("\n") == 1


def test_nothing_is_wrong_with_the_others(tmp_path, rng):
    manifest = read_manifest(spoil(tmp_path, "nothing", rng), options=TWO, classes=(0, 3, 7))
    assert len(manifest.entries) == 5
    assert [header.files[0].name for header in manifest.volume_headers["p"]] == ["a.nii.gz", "b.nii.gz"]


def test_a_box_around_a_brain_that_is_not_known_is_refused(tmp_path, rng):
    save(tmp_path / "a.nii.gz", head(rng))
    save(tmp_path / "dark.nii.gz", np.zeros(SHAPE, np.int16))
    with pytest.raises(TedmError, match=r"a\.nii\.gz: --crop brain needs a brain mask \(column brainmask\), or --brain non"):
        read_manifest(tmp_path / "a.nii.gz", options=VolumeOptions(crop="brain"))
    with pytest.raises(TedmError, match=r"dark\.nii\.gz: no voxel of it is brain, so that there is no box around it"):
        read_manifest(tmp_path / "dark.nii.gz", options=VolumeOptions(crop="brain", brain="nonzero"))


def test_slices_with_a_side_that_is_too_long_are_told_before_any_is_read(tmp_path):
    nibabel.save(nibabel.Nifti2Image(np.zeros((131_073, 1, 2), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(TedmError, match=r"image .*a\.nii\.gz: 1 x 131073 pixels; a side of more than 131072 is not taken"):
        read_manifest(tmp_path / "a.nii.gz")


def test_a_part_of_slices_is_no_matter_of_pictures(tmp_path):
    Image.new("L", (9, 8)).save(tmp_path / "a.png")
    with pytest.raises(TedmError, match=r"a\.png: a picture, and --crop 6 is for volumes; leave it out"):
        read_manifest(tmp_path / "a.png", options=VolumeOptions(crop=6))


def test_the_volumes_of_a_file_of_4d_are_channels_where_that_is_asked_for(tmp_path, rng):
    both = np.stack([head(rng), head(rng, level=900)], axis=-1)
    save(tmp_path / "a.nii.gz", both)
    with pytest.raises(TedmError, match="a 4D file of 2 volumes"):
        read_manifest(tmp_path / "a.nii.gz")
    manifest = read_manifest(tmp_path / "a.nii.gz", options=VolumeOptions(channels_in_file=True))
    assert len(manifest.volume_headers["a"]) == 2
