"""Probes are what the same classifiers fitted one by one would be, and what is said of them can be recomputed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import LogisticHead, Segmenter, advice, evaluate, fit, method_named, probe, probing, vote
from tedm.heads.data.rows import dense_rows
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.table import summarise
from tedm.heads.metrics.bootstrap import interval
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.plan import Plan, Probe, plan_probes
from tedm.heads.probing.run import run_probes
from tedm.heads.probing.voting_path import voting_paths
from tedm.heads.runtime.memory import resident
from tedm.store import OnLevels, Registration

TRAIN, VAL, TEST = ("a", "b", "c", "d", "e"), ("f", "g"), ("h", "i", "j", "k")


def relabel(store, **changes):
    """Splits, groups and domains for the images of a store."""
    rows = []
    for number, name in enumerate(store.labels.names):
        split = "train" if name in TRAIN else "val" if name in VAL else "test"
        domain = "near" if split != "test" or number % 2 else "far"
        row = Registration(name, split, f"p{number}", domain, (10, 12), store.mask(name))
        rows.append(dataclasses.replace(row, **changes.get(name, {})))
    store.relabel(rows, store.labels.classes)
    return store


@pytest.fixture(scope="module")
def probed(write_store, tmp_path_factory):
    """A store with three timesteps, two levels and two domains, and all that probes find in it."""
    store = relabel(write_store(tmp_path_factory.mktemp("probes") / "store", names=(*TRAIN, *VAL, *TEST), draws=2))
    return store, probe(store, sizes=(1, 3, None), repeats=2, by="timestep,level", domain="near")


@pytest.fixture
def store(make_store):
    return relabel(make_store(own=True, names=(*TRAIN, *VAL, *TEST)))


def as_head(store, done, number, seed):
    """A probe's classifier as a head that the rest of the library knows."""
    view = store if done.probe.level is None else OnLevels(store, [done.probe.level])
    one = done.fits[number]
    head = LogisticHead(one.ridge)
    head.classes_, head.n_features_in_ = np.arange(2), view.settings.channels
    head.coef_, head.intercept_ = one.coef, one.intercept
    timesteps = view.settings.timesteps if done.probe.timestep is None else (done.probe.timestep,)
    method = method_named("tedm", head="logistic", timesteps=timesteps)
    about = {"images": [], "seed": seed, "labels_used": 0}
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
    assert alone.provenance["images"] == list(found.plan.subsets[number].images)
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


class Counting:
    """A store that counts what is read of it."""

    def __init__(self, store):
        self.store, self.read = store, []
        self.reads_ahead, self.chunk_channels = store.reads_ahead, store.chunk_channels
        self.settings, self.arithmetic, self.storage, self.labels = (
            store.settings,
            store.arithmetic,
            store.storage,
            store.labels,
        )

    def image(self, name):
        return self.store.image(name)

    def mask(self, name):
        return self.store.mask(name)

    def blocks(self, names, timesteps=None, levels=None):
        for block in self.store.blocks(names, timesteps, levels):
            self.read.append((block.name, block.timesteps))
            yield block


def test_an_image_is_read_once_for_all_fits_of_a_probe(store):
    features = Counting(store)
    plan = plan_probes(features, sizes=(1, 3, None), repeats=3)
    run_probes(features, plan)
    expected = [(name, (timestep,)) for timestep in (1, 50, 400) for name in (*TRAIN, *VAL, *TEST)]
    assert sorted(features.read) == sorted(expected)


def test_stopped_probes_go_on_and_end_the_same(store, tmp_path):
    plan = plan_probes(store, sizes=(1, 3), repeats=2)
    whole = run_probes(store, plan)

    def stop(done, every, name):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probes(store, plan, kept=tmp_path / "kept", progress=stop)
    features = Counting(store)
    resumed = run_probes(features, plan, kept=tmp_path / "kept")
    assert {timesteps for _, timesteps in features.read} == {(400,)}
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        for mine, theirs in zip(one.fits, other.fits, strict=True):
            assert mine.chosen_by == theirs.chosen_by
            np.testing.assert_array_equal(mine.coef, theirs.coef)
    changed = plan.subsets[0].images[0]
    mask = store.mask(changed)[::-1].copy()
    with pytest.raises(TedmError, match="is of another run"):
        run_probes(relabel(store, **{changed: {"mask": mask}}), plan, kept=tmp_path / "kept")


def test_a_damaged_probe_is_computed_again(store, tmp_path):
    plan = plan_probes(store, sizes=(1,), repeats=1)
    whole = run_probes(store, plan, kept=tmp_path / "kept")
    (tmp_path / "timestep-50.npz").write_bytes(b"half a file")
    np.testing.assert_array_equal(run_probes(store, plan, kept=tmp_path)[1].scores, whole[1].scores)


def opinions_of(store, found, name, timestep, number):
    """Of the mean of the draws: shape (pixels, classes), by hand."""
    done = next(done for done in found.probed if done.probe == Probe(timestep))
    block = store.block(name, [timestep])
    logits = dense_rows(block, "share").astype(float) @ done.fits[number].coef[0] + done.fits[number].intercept[0]
    positive = (1 / (1 + np.exp(-logits))).reshape(2, -1).mean(axis=0)
    return np.stack([1 - positive, positive], axis=1)


def dice_by_hand(store, name, mask):
    truth = store.mask(name).ravel()
    counted = truth != 255
    both = ((truth == 1) & (mask == 1) & counted).sum()
    return 2 * both / (((truth == 1) & counted).sum() + ((mask == 1) & counted).sum())


def test_the_voting_path_is_greedy_on_val_and_its_scores_are_those_of_the_vote(probed):
    store, found = probed
    for path in found.paths:
        numbers = [at for at, subset in enumerate(found.plan.subsets) if subset.n == path.n]

        def mean_dice(timesteps, names, numbers=numbers):
            return np.mean(
                [
                    dice_by_hand(
                        store,
                        name,
                        vote(np.stack([opinions_of(store, found, name, t, number) for t in timesteps])).argmax(axis=1),
                    )
                    for name in names
                    for number in numbers
                ]
            )

        taken: list[int] = []
        for timestep, val in zip(path.timesteps, path.val, strict=True):
            candidates = {t: mean_dice([*taken, t], VAL) for t in store.settings.timesteps if t not in taken}
            assert timestep == max(candidates, key=candidates.get)
            assert val == pytest.approx(candidates[timestep])
            taken.append(timestep)
        assert path.chosen == 1 + int(np.argmax(path.val))
        (point,) = [p for p in found.votes if (p.n, p.voters, p.domain, p.split) == (path.n, 2, "far", "test")]
        far = [name for name in TEST if store.labels.domains[store.labels.index(name)] == "far"]
        assert point.mean == pytest.approx(100 * mean_dice(path.timesteps[:2], far))
        assert point.gain == pytest.approx(100 * (mean_dice(path.timesteps[:2], far) - mean_dice(path.timesteps[:1], far)))
        assert point.cost == pytest.approx(2 / 3)


def test_points_are_the_means_of_raw_predictions(probed):
    """Three numbers of the figures, from activations and weights alone."""
    store, found = probed
    for timestep, n, domain in [(1, 1, "near"), (50, 3, "far"), (400, 5, "near")]:
        numbers = [at for at, subset in enumerate(found.plan.subsets) if subset.n == n]
        names = [name for name in TEST if store.labels.domains[store.labels.index(name)] == domain]
        dice = np.array(
            [
                [dice_by_hand(store, name, opinions_of(store, found, name, timestep, number).argmax(axis=1)) for name in names]
                for number in numbers
            ]
        )
        ((_, mean, low, high),) = [point for point in found.curves()[domain][n] if point[0] == timestep]
        expected = interval(dice, names)
        np.testing.assert_allclose([mean, low, high], [100 * expected.mean, 100 * expected.low, 100 * expected.high])


@pytest.fixture(scope="module")
def probed_with_empty_truths(write_store, tmp_path_factory):
    """A val image and a test image show no class, and every probe finds something there."""
    store = write_store(tmp_path_factory.mktemp("empty") / "store", names=(*TRAIN, *VAL, *TEST))
    store = relabel(store, **{name: {"mask": np.zeros((8, 8), np.uint8), "domain": "near"} for name in (VAL[0], TEST[0])})
    plan = plan_probes(store, sizes=(1, 3), repeats=2)
    return store, plan, run_probes(store, plan)


@pytest.mark.parametrize("empty", ["leave-out", "count"])
def test_points_are_the_cells_of_a_table_of_the_same_scores(probed_with_empty_truths, empty):
    store, plan, done = probed_with_empty_truths
    found = Findings(store, plan, done, voting_paths(store, plan, done, empty=empty), empty=empty)
    title, *rows = found.scores()
    records = []
    for row in rows:
        of = dict(zip(title, row, strict=True))
        where = (of["domain"], of["split"], of["image"], of["group"], of["class_value"])
        method = f"vote {of['timesteps']}" if of["probe"] == "vote" else of["probe"]
        ratios = (of["dice"], of["precision"], of["recall"], of["dice"])
        records.append(Record(method, of["n"], of["repeat"], *where, *ratios, of["n"], "feature"))
    for split in ("val", "test"):
        of_split = [record for record in records if record.split == split]
        for metric in ("dice", "precision", "recall"):
            cells = {(c.domain, c.n, c.method): c for c in summarise(of_split, metric=metric, empty=empty).cells}
            for point in found.points:
                if (point.split, point.metric) == (split, metric):
                    cell = cells[point.domain, point.n, point.probe]
                    assert point.mean == pytest.approx(cell.mean)
                    assert (point.images, point.left_out) == (cell.images, cell.left_out)
        for vote_of_some in found.votes:
            if vote_of_some.split == split:
                (cell,) = [
                    c
                    for c in summarise(of_split, empty=empty).cells
                    if (c.domain, c.n, c.method) == (vote_of_some.domain, vote_of_some.n, f"vote {vote_of_some.timesteps}")
                ]
                assert vote_of_some.mean == pytest.approx(cell.mean)
    for path in found.paths:  # what is chosen on val is judged by the same mean
        ((_, mean),) = [(p.voters, p.mean) for p in found.votes if (p.n, p.split, p.voters) == (path.n, "val", path.chosen)]
        assert 100 * path.val[path.chosen - 1] == pytest.approx(mean)
    near = [point for point in found.points if (point.domain, point.split) == ("near", "test")]
    assert {point.left_out for point in near} == ({1} if empty == "leave-out" else {0})
    assert any(f"(empty truth: {empty}). Images that show no class: 1 of" in paragraph for paragraph in advice(found))


def test_val_images_that_show_no_class_choose_nothing(probed_with_empty_truths):
    store, plan, done = probed_with_empty_truths
    only = dataclasses.replace(plan, scored=(VAL[0], *plan.scored[2:]), val=1)
    at = [plan.scored.index(name) for name in only.scored]
    done = [dataclasses.replace(one, scores=one.scores[:, at]) for one in done]
    with pytest.raises(TedmError, match="no val image shows a foreground class"):
        voting_paths(store, only, done)
    levels = [dataclasses.replace(one, probe=Probe(level="level0")) for one in done[:1]]
    assert "so no level is chosen: give val other images" in advice(Findings(store, only, levels, []))[-1]


def test_an_unknown_convention_is_refused_before_anything_is_fitted(store):
    with pytest.raises(TedmError, match="no convention 'ignore' for empty truths"):
        probe(Counting(store), empty="ignore")


def test_the_table_has_a_row_for_each_fit_and_image(probed):
    _, found = probed
    title, *rows = found.scores()
    fits, votes = len(found.probed) * len(found.plan.subsets), 3 * len(found.plan.subsets)
    assert len(rows) == (fits + votes) * len(VAL + TEST)
    chosen = dict(zip(title, rows[0], strict=True))
    assert (chosen["probe"], chosen["timesteps"], chosen["level"], chosen["class_value"]) == ("timestep:1", "1", "all", 255)
    ours = found.probed[0].scores[0, 0, 1]
    assert [chosen["dice"], chosen["precision"], chosen["recall"]] == ours.tolist()
    assert len(list(found.fits())) == fits + 1


def test_the_grid_has_levels_timesteps_and_all_of_each(probed):
    _, found = probed
    assert (found.grid_levels, found.grid_timesteps) == (["all", "level0", "level1"], ["1", "50", "400", "all"])
    grid = found.grid(3)["near"]
    assert np.isnan(grid[0, 3])
    assert np.isfinite(grid).sum() == 11
    by_name = {
        (p.level, p.timestep): p.mean for p in found.points if (p.n, p.domain, p.metric, p.split) == (3, "near", "dice", "test")
    }
    assert grid[1, 3] == by_name["level0", None]
    assert grid[2, 1] == by_name["level1", 50]


def test_without_val_images_nothing_is_chosen_and_that_is_said(store):
    relabel(store, **{name: {"split": "test"} for name in VAL})
    found = probe(store, sizes=(1,), repeats=2)
    assert found.paths == ()
    assert any("no labelled val image, so no timestep and no vote is chosen" in paragraph for paragraph in advice(found))


def test_one_labelled_image_is_enough(store):
    relabel(store, **{name: {"mask": np.full((8, 8), 255, np.uint8)} for name in TRAIN[1:]})
    found = probe(store, sizes=(1, None))
    assert [(subset.n, subset.repeat) for subset in found.plan.subsets] == [(1, 0)]
    assert "they take the default penalty, 1" in advice(found)[0]


def test_subsets_of_one_class_are_left_out_and_named(store):
    only = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN[:2]}
    found = plan_probes(relabel(store, **only), sizes=(1, None), repeats=5)
    left = [subset.repeat for subset in found.subsets if subset.n == 1]
    assert 0 < len(left) < 5
    assert len(found.remarks) == 5 - len(left)
    assert all("was left out: its images show mask value 0 only" in remark for remark in found.remarks)
    every = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN}
    with pytest.raises(TedmError, match="no subset of 5 training images shows two classes"):
        plan_probes(relabel(store, **every), sizes=(None,))


def test_a_class_that_is_empty_in_a_fold_is_said(store):
    only = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN[1:]}
    found = probe(relabel(store, **only), sizes=(None,))
    chosen = {fit.chosen_by for done in found.probed for fit in done.fits}
    assert chosen == {"a cross-validation of 2 folds by group (1 more would learn from images of one class)"}
    assert "In 3 fits a class was empty in some fold (fits.csv says which)." in advice(found)[0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sizes": (1, 6)}, r"--sizes asks for 6 training images and split 'train' has 5 with a mask"),
        ({"sizes": ()}, "--sizes is empty"),
        ({"repeats": 0}, "--repeats is 0; it must be at least 1"),
        ({"by": "draw"}, "--by is 'draw'; it must be one of timestep, level, timestep,level"),
        ({"domain": "moon"}, "there is no labelled image of split 'train' and domain 'moon'"),
        ({"test": "train"}, r"5 of these .* to be learned from and scored on \(the first: a\): a is the same picture as a"),
        ({"train": "val"}, r"2 of these .* to be learned from and chosen on \(the first: f\): f is the same picture as f"),
        ({"test": "val"}, r"2 of these .* to be chosen on and scored on \(the first: f\): f is the same picture as f"),
    ],
)
def test_what_cannot_be_probed_is_refused(store, asked, message):
    with pytest.raises(TedmError, match=message):
        plan_probes(store, **asked)


def test_a_group_that_would_be_learned_from_and_scored_on_is_refused(store):
    with pytest.raises(TedmError, match=r"to be learned from and scored on .*: h is of the same group p0 as a; .*one split"):
        plan_probes(relabel(store, h={"group": "p0"}))


def test_a_group_that_would_be_chosen_on_is_neither_learned_from_nor_scored_on(store):
    with pytest.raises(TedmError, match=r"to be learned from and chosen on .*: f is of the same group p0 as a"):
        plan_probes(relabel(store, f={"group": "p0"}))
    with pytest.raises(TedmError, match=r"to be chosen on and scored on .*: h is of the same group p5 as f"):
        plan_probes(relabel(store, h={"group": "p5"}))


def test_a_store_without_masks_is_refused(store):
    nothing = {name: {"mask": np.full((8, 8), 255, np.uint8)} for name in (*TRAIN, *VAL, *TEST)}
    with pytest.raises(TedmError, match="there is no labelled image of split 'train'"):
        plan_probes(relabel(store, **nothing))


def test_a_budget_that_does_not_do_is_refused(store):
    with pytest.raises(TedmError, match="is not enough for"):
        run_probes(store, plan_probes(store, sizes=(1,)), memory=10**7)


def test_more_classes_than_two(make_store):
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


def test_findings_need_no_paths(store):
    plan: Plan = plan_probes(store, sizes=(1,), repeats=1, by="level")
    probed = run_probes(store, plan)
    assert voting_paths(store, plan, probed) == []
    found = Findings(store, plan, probed, [])
    assert "Of single levels" in advice(found)[-1]
    assert found.curves() == {}


def test_two_processes_give_the_same_bits_as_one(store, tmp_path):
    plan = plan_probes(store, sizes=(1, 3), repeats=1)
    alone, together = run_probes(store, plan), run_probes(store, plan, processes=2, memory=4 * 10**9, kept=tmp_path / "kept")
    for one, other in zip(alone, together, strict=True):
        assert one.probe == other.probe
        np.testing.assert_array_equal(one.scores, other.scores)
        for mine, theirs in zip(one.fits, other.fits, strict=True):
            np.testing.assert_array_equal(mine.coef, theirs.coef)
    assert len(list((tmp_path / "kept").iterdir())) == len(plan.probes)


def test_processes_that_share_too_little_memory_say_so(store, monkeypatch):
    monkeypatch.setattr(probing, "PROCESS_BYTES", 1)
    with pytest.raises(TedmError, match=r"is not enough for(.|\n)*2 processes share the memory; --processes 1 gives all"):
        run_probes(store, plan_probes(store, sizes=(3,), repeats=1), processes=2, memory=resident() + 10**8)
