"""Data sets in BIDS where they are plain, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract.images.listing.bids import recognises, rows


def data_set(folder: Path, *files: str) -> Path:
    for name in ("dataset_description.json", *files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """Two subjects, the first with two sessions; masks among the derivatives, some of them in another space."""
    return data_set(
        tmp_path / "brains",
        "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz",
        "sub-1/ses-b/anat/sub-1_ses-b_T1w.nii.gz",
        "sub-11/anat/sub-11_T1w.nii",
        "sub-11/anat/sub-11_T1w.json",
        "sub-11/func/sub-11_bold.nii.gz",
        "derivatives/labels/sub-1/ses-a/anat/sub-1_ses-a_dseg.nii.gz",
        "derivatives/labels/sub-1/ses-a/anat/sub-1_ses-a_space-MNI152_dseg.nii.gz",
        "derivatives/labels/sub-11/anat/sub-11_dseg.nii.gz",
        "derivatives/strip/sub-11/anat/sub-11_desc-brain_mask.nii.gz",
    )


def test_a_subjects_sessions_are_images_of_one_patient_with_their_masks(brains):
    assert recognises(brains)
    found = rows(brains, ())
    assert [
        (row.name, row.group, row.mask and row.mask.name, row.brain and row.brain.name, row.split) for row in found.rows
    ] == [
        ("sub-1_ses-a", "sub-1", "sub-1_ses-a_dseg.nii.gz", None, "train"),
        ("sub-1_ses-b", "sub-1", None, None, ""),
        ("sub-11", "sub-11", "sub-11_dseg.nii.gz", "sub-11_desc-brain_mask.nii.gz", "train"),
    ]
    assert (found.problems, found.remarks, found.channels) == ([], [], ())


def test_the_split_is_that_of_the_participants(brains):
    (brains / "participants.tsv").write_text("participant_id\tage\tsplit\nsub-1\t30\ttest\nsub-11\t40\tn/a\n")
    found = rows(brains, ())
    assert [row.split for row in found.rows] == ["test", "test", ""]
    assert found.remarks == []
    (brains / "participants.tsv").write_text("participant_id\tsplit\nsub-1\ttest\n")
    assert rows(brains, ()).remarks == [f"{brains}: sub-11 is not in participants.tsv, and is of no split"]


def test_modalities_are_channels_when_they_are_named(brains):
    for name in ("sub-1/ses-a/anat/sub-1_ses-a_FLAIR.nii.gz", "sub-11/anat/sub-11_FLAIR.nii.gz"):
        (brains / name).touch()
    with pytest.raises(TedmError, match="subjects have FLAIR, T1w; say with --channels"):
        rows(brains, ())
    assert [row.name for row in rows(brains, ("T1w",)).rows] == ["sub-1_ses-a", "sub-1_ses-b", "sub-11"]
    found = rows(brains, ("T1w", "flair"))
    assert [[path.name for path in row.files] for row in found.rows] == [
        ["sub-1_ses-a_T1w.nii.gz", "sub-1_ses-a_FLAIR.nii.gz"],
        ["sub-11_T1w.nii", "sub-11_FLAIR.nii.gz"],
    ]
    (problem,) = found.problems
    assert problem.startswith("sub-1/ses-b: no flair; one of each modality is wanted")


def test_several_of_one_kind_are_told_and_not_chosen_from(brains):
    data_set(brains, "sub-11/anat/sub-11_run-2_T1w.nii.gz", "derivatives/more/sub-1/sub-1_ses-a_desc-aseg_dseg.nii.gz")
    one, other = rows(brains, ()).problems
    assert one.startswith("sub-1/ses-a: several masks (sub-1_ses-a_dseg.nii.gz, sub-1_ses-a_desc-aseg_dseg.nii.gz); name the")
    assert other.startswith("sub-11: 2 files of T1w (sub-11_T1w.nii, sub-11_run-2_T1w.nii.gz)") or "run-2" in other


def test_subjects_without_the_modality_are_named(brains):
    (brains / "sub-2" / "anat").mkdir(parents=True)
    assert rows(brains, ()).remarks == [f"{brains}: sub-2 has no T1w, and is left out"]
    nothing = data_set(brains.parent / "nothing", "sub-1/func/sub-1_bold.nii.gz")
    assert rows(nothing, ()).remarks == [f"{nothing}: sub-1 has no image in anat/, and is left out"]


def test_participants_that_cannot_be_read_are_refused(brains):
    (brains / "participants.tsv").write_bytes(b"participant_id\tsplit\nsub-\xff\ttest\n")
    with pytest.raises(TedmError, match=r"participants\.tsv: cannot be read .* save it as UTF-8, with tabs"):
        rows(brains, ())
