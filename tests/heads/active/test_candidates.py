"""What could be annotated next is what the head has not seen and no score is held back for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import candidates, fit, method_named
from tedm.heads.active.candidates import known_images, unseen_among
from tedm.store import IGNORE, Registration
from tedm.store.fingerprints import Fingerprint

NAMES = ("one", "two", "three", "four", "five", "six")
TIMESTEPS = (1, 50, 400)


@pytest.fixture
def head(make_store):
    return fit(make_store(names=NAMES), method_named("tedm", head="logistic", timesteps=TIMESTEPS), images=2)


def rest(head) -> list[str]:
    return [name for name in NAMES if name not in head.provenance.images]


def test_images_with_masks_those_of_val_and_test_and_their_groups_are_left_out(make_store, head):
    store = make_store(own=True, names=NAMES)
    a, b, c, d = rest(head)
    changes = [(a, "train", "p"), (b, "", "q"), (c, "test", "t"), (d, "", "t")]
    masks = {name: store.mask(name) for name in NAMES}

    def relabel(without):
        blank = np.full((8, 8), IGNORE, np.uint8)
        rows = [(n, split, group, blank if n in without else masks[n]) for n, split, group in changes]
        store.relabel([Registration(n, split, group, "here", (10, 12), mask) for n, split, group, mask in rows], (0, 255))

    relabel(without=(b, c, d))
    assert candidates(store, head) == [b]
    assert candidates(store, head, labelled=True) == [a, b]
    assert candidates(store, head, split="test") == [c]
    relabel(without=())
    with pytest.raises(TedmError, match=r"of 6, 2 were learned from, 6 have masks .*, 2 or their groups are of val or test"):
        candidates(store, head)
    with pytest.raises(TedmError, match="no image of domain 'there'"):
        candidates(store, head, domain="there")


def test_another_slice_of_a_patient_is_ranked_unless_something_was_chosen_on_it(make_store, head):
    store = make_store(own=True, names=NAMES)
    one, two, *_ = rest(head)
    rows = [(head.provenance.images[0], "p"), (one, "p"), (two, "q")]
    store.relabel([Registration(name, "train", group, "here", (10, 12), store.mask(name)) for name, group in rows], (0, 255))
    assert one in candidates(store, head, labelled=True)
    chosen = replace(head, provenance=head.provenance.having_chosen_on([Fingerprint("x", "q", "here", "ab" * 32)]))
    assert two in candidates(store, head, labelled=True)
    assert two not in candidates(store, chosen, labelled=True)


def test_what_was_seen_is_known_under_the_heads_own_names_alone(make_store, head):
    store, learned = make_store(names=NAMES), head.provenance.images
    assert known_images(store, head) == learned
    assert known_images(make_store(names=tuple("uvwxyz")), head) == []  # the same pictures under other names
    assert unseen_among(store, head, NAMES) == rest(head)
    with pytest.raises(TedmError, match="has learned from all of the 2 images"):
        unseen_among(store, head, learned)
