"""The ranking: scores by hand, who is ranked, and that uncertainty and twins count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import Ranked, candidates, fit, method_named, predict, rank
from tedm.store import IGNORE, FeatureStore, Registration
from tedm.store.fingerprints import Fingerprint

NAMES = ("one", "two", "three", "four", "five", "six")
TIMESTEPS = (1, 50, 400)


@pytest.fixture
def head(make_store):
    return fit(make_store(names=NAMES), method_named("tedm", head="logistic", timesteps=TIMESTEPS), images=2)


def rest(head) -> list[str]:
    return [name for name in NAMES if name not in head.provenance.images]


def test_scores_are_those_of_the_pixels(make_store, head):
    store = make_store(names=NAMES)
    ranking = rank(store, head, rest(head), by="entropy", diverse=False)
    assert [each.score for each in ranking] == [each.entropy for each in ranking]
    assert [each.score for each in ranking] == sorted((each.score for each in ranking), reverse=True)
    of_name = {each.name: each for each in ranking}
    for prediction in predict(store, {"a": head}, rest(head), uncertainty=True):
        found, mask, entropy = of_name[prediction.name], prediction.mask, prediction.entropy
        assert found.entropy == pytest.approx(entropy.mean())
        assert found.disagreement == pytest.approx(prediction.disagreement.mean())
        assert found.peak == pytest.approx(np.sort(entropy.ravel())[-6:].mean())  # a tenth of 64 pixels
        near = [
            (y, x)
            for y in range(8)
            for x in range(8)
            if any(mask[v, u] != mask[y, x] for v in range(8) for u in range(8) if abs(v - y) + abs(u - x) <= 1)
        ]
        close = [(y, x) for y in range(8) for x in range(8) if any(abs(v - y) + abs(u - x) <= 1 for v, u in near)]
        far = [(y, x) for y in range(8) for x in range(8) if (y, x) not in close]
        assert found.border == pytest.approx(np.mean([entropy[at] for at in close]))
        assert found.elsewhere == pytest.approx(np.mean([entropy[at] for at in far]) if far else 0)


@pytest.mark.parametrize("by", ["entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"])
def test_each_score_orders_and_a_diverse_ranking_is_a_reordering(make_store, head, by):
    store = make_store(names=NAMES)
    plain, diverse = (rank(store, head, rest(head), by=by, diverse=kind, top=2) for kind in (False, True))
    assert [each.score for each in plain] == sorted((getattr(each, by) for each in plain), reverse=True)
    assert set(plain) == set(diverse)
    assert all(isinstance(each, Ranked) and each.domain == "here" and each.split == "train" for each in plain)
    after = [each.score for each in diverse[2:]]
    assert after == sorted(after, reverse=True)


class Counting:
    """Features that remember which blocks were asked for."""

    def __init__(self, store: FeatureStore) -> None:
        self._store, self.read = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def blocks(self, names, timesteps=None, levels=None):
        for block in self._store.blocks(names, timesteps, levels):
            self.read.append(block.name)
            yield block


def test_each_block_is_read_once(make_store, head):
    counting = Counting(make_store(names=NAMES))
    rank(counting, head, rest(head))
    assert sorted(counting.read) == sorted(NAMES)  # the head's own for their descriptors, the others


def test_what_the_head_guesses_at_is_first_and_its_twin_is_not_second(make_store, head):
    """Two images hold the mean activations of all and nothing else: the head is unsure of both, and they are alike."""
    store, whole = make_store(own=True, names=NAMES), make_store(names=NAMES)
    twins = rest(head)[:2]
    blocks = [whole.block(name) for name in NAMES]
    for name in twins:
        store.discard([name])
        cells = [np.mean([block.cells[level] for block in blocks], axis=(0, 3, 4)) for level in range(2)]
        wide = [
            np.broadcast_to(mean[:, :, None, None], of.shape).astype(np.float32)
            for mean, of in zip(cells, blocks[0].cells, strict=True)
        ]
        store.write(name, np.zeros((8, 8, 1), np.float32), wide)
    plain = [each.name for each in rank(store, head, rest(head), by="entropy", diverse=False)]
    assert set(plain[:2]) == set(twins)
    diverse = [each.name for each in rank(store, head, rest(head), by="entropy", diverse=True, top=2)]
    assert len(set(diverse[:2]) & set(twins)) == 1


def test_the_same_picture_under_another_name_is_not_ranked_and_another_one_of_the_same_name_is(make_store, head):
    """Another store has the pictures of the first four images under other names, and other pictures under theirs."""
    learned = head.provenance.images
    renamed = make_store(names=tuple("uvwxyz"), own=True)
    copies = {"uvwxyz"[NAMES.index(name)] for name in learned}
    assert {each.name for each in rank(renamed, head, list("uvwxyz"))} == set("uvwxyz") - copies
    assert set(candidates(renamed, head, labelled=True)) == set("uvwxyz") - copies
    elsewhere = make_store(names=NAMES, first=30)
    ranking = rank(elsewhere, head, list(NAMES))
    assert {each.name for each in ranking} == set(NAMES)
    assert np.isnan(ranking[0].distance)  # none of them was learned from


def test_what_cannot_be_ranked_is_refused_in_a_line(make_store, head):
    store = make_store(names=NAMES)
    for arguments, said in (
        ({"names": head.provenance.images}, "has learned from all of the 2 images"),
        ({"names": ["nobody"]}, "no image nobody"),
        ({}, "no image to annotate next"),
        ({"names": rest(head), "top": 5}, "the first 5 of 4 images"),
        ({"names": rest(head), "by": "guess"}, "no score 'guess'"),
        ({"names": rest(head), "memory": 10**6}, "is not enough for the descriptors of 6 images"),
        ({"names": rest(head), "timesteps": [7]}, "7"),
    ):
        with pytest.raises(TedmError, match=said):
            rank(store, head, **arguments)
    elsewhere = replace(head, provenance=replace(head.provenance, learned_from=(Fingerprint("another"),)))
    with pytest.raises(TedmError, match="rank by another score"):
        rank(store, elsewhere, list(NAMES), by="distance")
    assert np.isnan(rank(store, elsewhere, list(NAMES))[0].distance)
    with pytest.raises(TedmError, match="made for other features"):
        rank(store, replace(head, settings=replace(head.settings, checkpoint_sha256="00" * 32)), rest(head))


def test_a_mask_is_all_that_is_between_the_list_and_the_next_head(make_store, head):
    """The first of the list is labelled, and is no longer ranked; the next head learns from it."""
    store = make_store(own=True, names=NAMES)
    hidden = [Registration(name, "", name, "here", (10, 12), np.full((8, 8), IGNORE, np.uint8)) for name in rest(head)]
    store.relabel(hidden, (0, 255))
    first, *others = rank(store, head)
    assert first.score == first.cover == max(each.cover for each in (first, *others))  # the default
    assert {first.name, *(each.name for each in others)} == set(rest(head))
    mask = make_store(names=NAMES).mask(first.name)
    store.relabel([Registration(first.name, "train", "", "", (10, 12), mask)], (0, 255))
    next_head = fit(store, head.method)
    assert set(next_head.provenance.images) == {*head.provenance.images, first.name}
    assert {each.name for each in rank(store, next_head)} == {each.name for each in others}
