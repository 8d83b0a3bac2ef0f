"""Principal components: through products they are those of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

from tedm.errors import TedmError
from tedm.heads.data.rows import dense_rows
from tedm.heads.explore.pca import PrincipalComponents
from tedm.heads.runtime.memory import resident


@pytest.mark.parametrize("rows", ["share", "concatenate"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("storage", ["native", "upsampled"])
def test_components_through_products_are_those_of_the_rows(make_store, rows, upsampling, storage):
    store = make_store(upsampling=upsampling, layout=storage)
    names = store.labels.names
    ours = PrincipalComponents(2, dtype="float64", tol=1e-9).fit_features(store, names, rows=rows)
    dense = np.concatenate([dense_rows(store.block(name), rows).astype(np.float64) for name in names])
    theirs = PCA(2, svd_solver="full").fit(dense)
    signs = np.sign((ours.components_ * theirs.components_).sum(axis=1))[:, None]
    np.testing.assert_allclose(ours.components_, theirs.components_ * signs, atol=1e-6)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-7)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-7)
    block = store.block(names[0])
    np.testing.assert_allclose(ours.project(block, rows), ours.transform(dense[: len(dense) // len(names)]), atol=1e-6)


def test_many_features_take_the_iterative_solver(rng):
    scale = np.r_[[20.0, 10.0, 5.0], np.full(97, 1.0)]
    rows = rng.normal(size=(500, 100)) * scale + 50
    ours = PrincipalComponents(3, dtype="float64", tol=1e-9).fit(rows)
    theirs = PCA(3, svd_solver="full").fit(rows)
    assert ours.converged_
    assert np.abs(np.abs((ours.components_ * theirs.components_).sum(axis=1)) - 1).max() < 1e-8
    assert ours.n_iter_ < 45
    assert not PrincipalComponents(3, max_iter=1, tol=1e-12).fit(rows).converged_


def test_numbers_of_components_that_cannot_be_are_refused(rng):
    for number in (0, 5):
        with pytest.raises(TedmError, match="from 1 to the 4 features"):
            PrincipalComponents(number).fit(rng.normal(size=(9, 4)))


def test_a_budget_that_holds_no_block_is_refused(make_store):
    store = make_store()
    with pytest.raises(TedmError, match="principal components of .* the least that would do"):
        PrincipalComponents(1).fit_features(store, store.labels.names, rows="share", memory=resident() + 1000)


def test_it_is_a_scikit_learn_transformer():
    check_estimator(PrincipalComponents(1), on_skip=None)
