"""A point is the mean of raw predictions, and the cell of a table of the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads import advice
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.table import summarise
from tedm.heads.metrics.bootstrap import interval
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.points import dice_on_val
from tedm.heads.probing.scored_images import ScoredImages
from tedm.heads.probing.voting_path import voting_paths

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_points_are_the_means_of_raw_predictions(probed, mean_opinion, dice_by_hand):
    """Three numbers of the figures, from activations and weights alone."""
    store, found = probed
    for timestep, n, domain in [(1, 1, "near"), (50, 3, "far"), (400, 5, "near")]:
        numbers = [at for at, subset in enumerate(found.plan.subsets) if subset.n == n]
        names = [name for name in TEST if store.labels.domains[store.labels.index(name)] == domain]
        dice = np.array(
            [
                [dice_by_hand(store, name, mean_opinion(store, found, name, timestep, number).argmax(axis=1)) for name in names]
                for number in numbers
            ]
        )
        ((_, mean, low, high),) = [point for point in found.curves()[domain][n] if point[0] == timestep]
        expected = interval(dice, names)
        np.testing.assert_allclose([mean, low, high], [100 * expected.mean, 100 * expected.low, 100 * expected.high])


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


def test_the_chosen_vote_is_the_point_of_its_number_of_voters(probed):
    _, found = probed
    for path in found.paths:
        for chosen in found.chosen_votes[path.n]:
            where = (path.n, path.chosen, chosen.domain, "test")
            (point,) = [vote for vote in found.votes if (vote.n, vote.voters, vote.domain, vote.split) == where]
            assert (chosen.dice.mean, chosen.dice.low, chosen.dice.high) == (point.mean, point.low, point.high)
            if path.chosen > 1:
                assert chosen.over_first.mean == point.gain
            assert (chosen.over_first is None) == (path.chosen == 1)
            assert (chosen.over_all is None) == (path.chosen == len(path.timesteps))


def test_dice_on_val_is_over_all_val_images(probed):
    store, found = probed
    fitted = found.probed[-1]
    means = dice_on_val(ScoredImages(store.labels, found.plan, "leave-out"), found.plan, fitted)
    for n, mean in means.items():
        numbers = [at for at, subset in enumerate(found.plan.subsets) if subset.n == n]
        assert mean == pytest.approx(100 * fitted.scores[numbers, : len(VAL), 1, 0].mean())
