"""What a user says of volumes, and what a store's settings keep of it for new ones."""

from __future__ import annotations

import pytest
from volume_files import write_patients

from tedm.errors import TedmError
from tedm.extract.backbones import random_backbone
from tedm.extract.images import VolumeOptions, read_manifest
from tedm.extract.run import extract
from tedm.store.volumes.normalisation import Normalisation


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"crop": 0}, "--crop 0; give a number of voxels from 1 on, or brain"),
        ({"crop": "nonzero"}, "--crop nonzero is written --crop brain --brain nonzero"),
        ({"crop": "brain", "brain": "all"}, "--crop brain needs to know where the brain is: --brain mask or --brain nonzero"),
        ({"channels": ("t1", "t1")}, "--channels t1,t1 names one twice; each column is one channel"),
    ],
)
def test_what_cannot_be_meant_is_refused(said, refusal):
    with pytest.raises(TedmError, match=refusal):
        VolumeOptions(**said)


@pytest.mark.parametrize(
    ("options", "normalisation"),
    [
        (VolumeOptions(axis="coronal", crop=6), None),
        (VolumeOptions(axis="2", brain="mask", crop="brain"), Normalisation("quantile")),
        (VolumeOptions(brain="nonzero", crop="brain"), Normalisation("zscore")),
        (VolumeOptions(brain="nonzero", crop="brain"), None),
        (VolumeOptions(brain="all"), Normalisation("quantile")),
    ],
)
def test_the_settings_of_a_store_give_back_the_options_that_it_was_made_with(tmp_path, options, normalisation):
    manifest = read_manifest(write_patients(tmp_path / "data", splits=["train"]), options=options)
    store = extract(
        manifest,
        tmp_path / "store",
        random_backbone(),
        timesteps=(1,),
        layout="native",
        intensity_range=(0, 1000) if normalisation is None else None,
        normalisation=normalisation,
        device="cpu",
        precision="float32",
        threads=1,
    ).store
    assert VolumeOptions.of(store.settings) == options
