"""The classifiers of a probe are those that would be fitted one by one, and so are their scores."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import LogisticHead, Segmenter, advice, evaluate, fit, method_named, probe
from tedm.heads.data.rows import dense_rows
from tedm.heads.probing.plan import Probe, plan_probes
from tedm.heads.probing.run import run_probes
from tedm.heads.segmenter.provenance import Provenance
from tedm.store import OnLevels

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def as_head(store, done, number, seed):
    """A probe's classifier as a head that the rest of the library knows."""
    view = store if done.probe.level is None else OnLevels(store, [done.probe.level])
    one = done.fits[number]
    head = LogisticHead(one.ridge)
    head.classes_, head.n_features_in_ = np.arange(2), view.settings.channels
    head.coef_, head.intercept_ = one.coef, one.intercept
    timesteps = view.settings.timesteps if done.probe.timestep is None else (done.probe.timestep,)
    method = method_named("tedm", head="logistic", timesteps=timesteps)
    about = Provenance(tedm="0", learned_from=(), seed=seed)
    return view, Segmenter(method, head, view.settings, view.arithmetic, view.storage, store.labels.classes, about)


def test_scores_are_those_of_an_evaluation(probed):
    store, found = probed
    kinds = {done.probe.kind: done for done in found.probed}
    assert set(kinds) == {"timestep", "level", "timestep,level"}
    for done in kinds.values():
        for number, subset in enumerate(found.plan.subsets):
            view, head = as_head(store, done, number, subset.repeat)
            for record in evaluate(view, {"probe": head}, split=None, domain=None):
                if record.image in found.plan.scored:
                    at = found.plan.scored.index(record.image)
                    ours = done.scores[number, at, store.labels.classes.index(record.class_value)]
                    np.testing.assert_array_equal(ours, [record.dice, record.precision, record.recall])


@pytest.mark.parametrize(("n", "repeat"), [(1, 1), (3, 0), (3, 1), (5, 0)])
def test_a_probe_is_the_head_that_would_be_fitted_alone(probed, n, repeat):
    store, found = probed
    (number,) = [at for at, subset in enumerate(found.plan.subsets) if (subset.n, subset.repeat) == (n, repeat)]
    done = next(done for done in found.probed if done.probe == Probe(50))
    alone = fit(store, method_named("timestep:50"), images=n, seed=repeat, ridge=done.fits[number].ridge)
    assert alone.provenance.images == list(found.plan.subsets[number].images)
    scale = np.abs(alone.estimator.coef_).max()
    np.testing.assert_allclose(done.fits[number].coef, alone.estimator.coef_, rtol=0, atol=0.01 * scale)


def test_penalties_are_chosen_by_groups_or_said_to_be_the_default(probed):
    _, found = probed
    for done in found.probed:
        for subset, one in zip(found.plan.subsets, done.fits, strict=True):
            if subset.n == 1:
                assert (one.ridge, one.chosen_by) == (1.0, "default: 1 group is too few for a cross-validation")
            else:
                assert one.chosen_by == "a cross-validation of 3 folds by group"
    assert any(one.ridge != 1 for done in found.probed for one in done.fits)
    assert "With n = 1 some subsets have fewer than three groups" in advice(found)[0]


def test_an_image_is_read_once_for_all_fits_of_a_probe(store, counting):
    features = counting(store)
    plan = plan_probes(features, sizes=(1, 3, None), repeats=3)
    run_probes(features, plan)
    expected = [(name, (timestep,)) for timestep in (1, 50, 400) for name in (*TRAIN, *VAL, *TEST)]
    assert sorted(features.read) == sorted(expected)


def test_a_class_that_is_empty_in_a_fold_is_said(store, relabel):
    only = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN[1:]}
    found = probe(relabel(store, **only), sizes=(None,))
    chosen = {fit.chosen_by for done in found.probed for fit in done.fits}
    assert chosen == {"a cross-validation of 2 folds by group (1 more would learn from images of one class)"}
    assert "In 3 fits a class was empty in some fold (fits.csv says which)." in advice(found)[0]


def test_a_budget_that_does_not_do_is_refused(store):
    with pytest.raises(TedmError, match="is not enough for"):
        run_probes(store, plan_probes(store, sizes=(1,)), memory=10**7)


def test_more_classes_than_two(make_store, relabel):
    store = relabel(make_store(own=True, names=(*TRAIN, *VAL, *TEST), values=(0, 1, 2)))
    found = probe(store, sizes=(3,), repeats=2)
    assert found.probed[0].fits[0].coef.shape == (3, 5)
    at = found.plan.scored.index("h")
    head = found.probed[0].fits[0]
    logits = dense_rows(store.block("h", [1]), "share") @ head.coef.T + head.intercept
    mask, truth = logits.argmax(axis=1), store.mask("h").ravel()
    counted = truth != 255
    both = ((truth == 2) & (mask == 2))[counted].sum()
    dice = 2 * both / ((truth == 2)[counted].sum() + (mask == 2)[counted].sum())
    assert found.probed[0].scores[0, at, 2, 0] == pytest.approx(dice)
