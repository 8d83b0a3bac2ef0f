"""Black and white from brain voxels, against NumPy by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from volume_files import SHAPE, brain_of, head

from tedm.errors import TedmError
from tedm.extract.images.slices.scaling import Moments, black_and_white, brain_voxels
from tedm.store.volumes.normalisation import Normalisation

HERE = Path("scan.nii")
QUANTILE = Normalisation("quantile")


def test_quantiles_are_those_of_the_brain_alone(rng):
    values, brain = head(rng), brain_of()
    values[~brain] = 29000
    black, white = black_and_white(values, brain, QUANTILE, 0, HERE)
    assert (black, white) == tuple(np.percentile(values[brain].astype(float), (1, 99)))
    other = Normalisation("quantile", low=0.25, high=0.5)
    assert black_and_white(values, brain, other, 0, HERE) == tuple(np.percentile(values[brain].astype(float), (25, 50)))
    assert black_and_white(values, None, QUANTILE, 0, HERE)[1] == 29000


def test_voxels_that_are_not_finite_do_not_count(rng):
    values, brain = head(rng).astype(np.float32), brain_of()
    for at, odd in zip(((1, 2, 1), (2, 2, 1), (3, 2, 1)), (np.nan, np.inf, -np.inf), strict=True):
        values[at] = odd
    there = values[brain & np.isfinite(values)].astype(float)
    assert len(there) == brain.sum() - 3
    assert black_and_white(values, brain, QUANTILE, 0, HERE) == tuple(np.percentile(there, (1, 99)))
    moments = Moments.of(values, brain, HERE)
    assert moments.count == len(there)
    assert moments.mean == pytest.approx(there.mean())
    assert moments.deviation == pytest.approx(there.std())


def test_the_brain_is_the_mask_or_what_is_not_0_in_some_modality_or_everything():
    one, other = np.zeros((2, 3, 2), np.float32), np.zeros((2, 3, 2), np.int16)
    one[0, 1, 1], one[1, 2, 0], other[1, 0, 1] = 4.5, np.nan, -3
    mask = np.zeros((2, 3, 2), bool)
    mask[1, 1, 1] = True
    assert brain_voxels([one, other], mask, "all") is None
    np.testing.assert_array_equal(brain_voxels([one, other], mask, "mask"), mask)
    np.testing.assert_array_equal(np.argwhere(brain_voxels([one, other], mask, "nonzero")), [[0, 1, 1], [1, 0, 1]])
    with pytest.raises(ValueError, match="there is no brain mask"):
        brain_voxels([one, other], None, "mask")


def test_zscore_takes_the_numbers_of_its_modality():
    of_training = Normalisation("zscore", reach=2.0, means=(100.0, 7.0), deviations=(10.0, 0.5), patients=("a",))
    assert black_and_white(np.zeros(SHAPE), None, of_training, 1, HERE) == (6.0, 8.0)
    assert black_and_white(np.zeros(SHAPE), None, of_training, 0, HERE) == (80.0, 120.0)


def test_what_gives_no_black_and_white_is_refused_with_its_file():
    flat = np.full(SHAPE, 5, np.int16)
    with pytest.raises(TedmError, match=r"^scan\.nii: its quantiles 0\.01 and 0\.99 are both 5, it shows nothing; look"):
        black_and_white(flat, None, QUANTILE, 0, HERE)
    with pytest.raises(TedmError, match=r"^scan\.nii: no voxel of it is brain \(or finite\)"):
        black_and_white(flat, np.zeros(SHAPE, bool), QUANTILE, 0, HERE)
    with pytest.raises(TedmError, match=r"^scan\.nii: no voxel of it is brain \(or finite\)"):
        Moments.of(np.full(SHAPE, np.nan), None, HERE)


NUMBERS = arrays.arrays(np.int16, st.integers(1, 40), elements=st.integers(-30000, 30000))


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_all(parts):
    together = sum((Moments.of(part, None, HERE) for part in parts), Moments())
    everything = np.concatenate(parts).astype(float)
    assert together.count == len(everything)
    assert together.mean == pytest.approx(everything.mean(), abs=1e-6)
    assert together.deviation == pytest.approx(everything.std(), rel=1e-9, abs=1e-6)
