"""How a strength is chosen: on folds that tear no group apart, on validation images, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.data.dataset import TrainingData
from tedm.heads.data.rows import row_labels
from tedm.heads.linear.logistic import LogisticHead
from tedm.heads.linear.selection import Job, require_strengths
from tedm.heads.linear.source import ArrayRows, Source
from tedm.store import IGNORE


@pytest.mark.parametrize("threads", [1, 3])
def test_the_strength_is_the_one_with_the_smallest_loss_on_held_out_groups(make_store, threads, dense, theirs):

    store = make_store()
    path = (0.01, 1.0, 30.0, 1000.0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        data = TrainingData(store, store.labels.names, rows="share")
        head = LogisticHead(path, dtype="float64", tol=1e-10).fit_blocks(data)
    finally:
        torch.set_num_threads(before)
    expected = []
    for ridge in path:
        total = count = 0.0
        for outside in store.labels.names:
            x, y = dense(store, "share", [name for name in store.labels.names if name != outside])
            xo, yo = dense(store, "share", [outside])
            logits = theirs(x, y, True, ridge).predict_log_proba(xo)
            total, count = total - logits[np.arange(len(yo)), yo].sum(), count + len(yo)
        expected.append(total / count)
    assert [point["ridge"] for point in head.path_] == list(path)
    np.testing.assert_allclose([point["loss"] for point in head.path_], expected, rtol=1e-5)
    assert head.ridge_ == path[int(np.argmin(expected))]
    assert head.chosen_by_ == "a cross-validation of 4 folds by group"
    alone = LogisticHead(head.ridge_, dtype="float64", tol=1e-10).fit_blocks(data)
    np.testing.assert_allclose(head.coef_, alone.coef_, rtol=1e-9, atol=1e-12)
    assert head.report().details["ridge"] == head.ridge_


def test_a_path_may_be_chosen_on_validation_images(make_store):
    store = make_store()
    train, val = (TrainingData(store, names, rows="share") for names in (["one", "two"], ["three", "four"]))
    head = LogisticHead("auto", select="val").fit_blocks(train, val)
    assert head.chosen_by_ == "the loss on 2 validation images"
    assert len(head.path_) == 7
    logits = np.log(np.concatenate([head.opinions(store.block(name), "share")[0] for name in ("three", "four")]))
    labels = np.concatenate([row_labels(store.mask(name), 3, 1, "share") for name in ("three", "four")])
    used = labels != IGNORE
    mean = -logits[used, labels[used]].mean()
    assert min(point["loss"] for point in head.path_) == pytest.approx(mean, rel=1e-5)


def test_with_fewer_than_three_groups_the_default_is_used_and_said(make_store):
    data = TrainingData(make_store(), ["one", "two"], rows="share")
    head = LogisticHead("auto").fit_blocks(data)
    assert head.ridge_ == 1.0
    assert head.chosen_by_ == "default: 2 groups are too few for a cross-validation"
    assert head.report().details["ridge_chosen_by"] == head.chosen_by_


def test_arrays_choose_by_their_groups(rng):
    x = rng.normal(size=(300, 8))
    y = (x[:, 0] + rng.normal(size=300) > 0).astype(int)
    groups = np.arange(300) // 60
    head = LogisticHead("auto").fit(x, y, groups=groups)
    assert head.chosen_by_ == "a cross-validation of 5 folds by group"
    assert head.ridge_ == min(head.path_, key=lambda point: point["loss"])["ridge"]
    assert LogisticHead([1.0, 10.0]).fit(x, y).ridge_ in (1.0, 10.0)


def test_a_class_that_one_image_shows_alone_does_not_stop_a_cross_validation(make_store):
    store = make_store(values=(0, 1, 2))

    class Rare:
        settings, storage, labels, blocks = store.settings, store.storage, store.labels, store.blocks
        chunk_channels = store.chunk_channels

        def mask(self, name):
            mask = store.mask(name)
            return mask if name == "two" else np.where(mask == 2, 1, mask).astype(np.uint8)

    head = LogisticHead("auto").fit_blocks(TrainingData(Rare(), store.labels.names, rows="share"))
    assert all(np.isfinite(point["loss"]) for point in head.path_)
    assert head.opinions(store.block("two"), "share")[0, :, 2].mean() > 0.01


def test_a_strength_that_makes_no_sense_is_said(make_store):
    data = TrainingData(make_store(), ["one"], rows="share")
    for ridge in (-1.0, [1.0, -2.0], []):
        with pytest.raises(TedmError, match="must be 0 or more"):
            LogisticHead(ridge).fit_blocks(data)
    with pytest.raises(TedmError, match="must be a number, several, or auto"):
        LogisticHead("best").fit_blocks(data)
    with pytest.raises(TedmError, match="choose cv or val"):
        LogisticHead("auto", select="test").fit_blocks(data)
    with pytest.raises(TedmError, match="needs validation images"):
        LogisticHead("auto", select="val").fit_blocks(data)
    with pytest.raises(TedmError, match="rows in memory are cross-validated"):
        LogisticHead("auto", select="val").fit(np.eye(4), [0, 1, 0, 1])


def source_of(groups, labels):
    """Two rows an image, whose groups and class indices are these."""
    rows = ArrayRows(np.zeros((2 * len(groups), 1)), np.array(labels, np.uint8).ravel(), np.repeat(np.arange(len(groups)), 2))
    return Source(rows, {str(image): group for image, group in enumerate(groups)}, rows.counts)


def test_folds_never_tear_a_group_apart():
    source = source_of("aabbccdd", [[0, 1]] * 8)
    job = Job.cross_validated(source, list(source.counts), [0.1, 1.0], folds=3)
    assert (len(job.folds), job.strengths) == (3, (0.1, 1.0))
    assert job.chosen_by == "a cross-validation of 3 folds by group"
    for inside, outside in job.folds:
        assert {source.groups[name] for name in inside} & {source.groups[name] for name in outside} == set()
        assert sorted([*inside, *outside]) == sorted(source.counts)
    assert sorted(name for _, outside in job.folds for name in outside) == sorted(source.counts)


def test_folds_that_would_learn_from_one_class_are_left_out_and_that_is_said():
    some = source_of("abc", [[0, 0], [0, 0], [0, 1]])
    job = Job.cross_validated(some, list(some.counts), [0.1, 1.0])
    assert len(job.folds) == 2
    assert job.chosen_by == "a cross-validation of 2 folds by group (1 more would learn from images of one class)"
    none = source_of("abc", [[0, 0], [1, 1], [1, 1]])
    one_class = Job.cross_validated(none, list(none.counts), [0.1, 1.0])
    assert [len(set(np.concatenate([none.counts[name].nonzero()[0] for name in inside]))) for inside, _ in one_class.folds] == [
        2,
        2,
    ]
    alike = source_of("abc", [[0, 0], [0, 0], [0, 0]])
    default = Job.cross_validated(alike, list(alike.counts), [0.1, 5.0])
    assert (default.strengths, default.folds) == ((1.0,), ())
    assert default.chosen_by == "default: each of 3 folds would learn from images of one class"


def test_a_single_strength_is_tried_on_no_fold():
    source = source_of("abc", [[0, 1]] * 3)
    assert Job.cross_validated(source, ["0", "1"], [3.0]) == Job(("0", "1"), (3.0,))
    with pytest.raises(TedmError, match="ridge is none; it must be 0 or more"):
        require_strengths([], "none")
