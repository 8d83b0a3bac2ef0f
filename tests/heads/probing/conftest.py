"""A store whose images are learned from, chosen on and scored on in two domains, and all that probes find in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.heads import probe
from tedm.heads.data.rows import dense_rows
from tedm.heads.probing.plan import Probe, plan_probes
from tedm.heads.probing.run import run_probes
from tedm.store import Registration

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def _relabel(store, **changes):
    """Splits, groups and domains for the images of a store."""
    rows = []
    for number, name in enumerate(store.labels.names):
        split = "train" if name in TRAIN else "val" if name in VAL else "test"
        domain = "near" if split != "test" or number % 2 else "far"
        row = Registration(name, split, f"p{number}", domain, (10, 12), store.mask(name))
        rows.append(dataclasses.replace(row, **changes.get(name, {})))
    store.relabel(rows, store.labels.classes)
    return store


@pytest.fixture(scope="session")
def relabel():
    """Gives the images of a store their splits, groups and domains; changes are by the name of an image."""
    return _relabel


@pytest.fixture(scope="session")
def probed(write_store, tmp_path_factory):
    """A store with three timesteps, two levels and two domains, and all that probes find in it."""
    store = _relabel(write_store(tmp_path_factory.mktemp("probes") / "store", names=(*TRAIN, *VAL, *TEST), draws=2))
    return store, probe(store, sizes=(1, 3, None), repeats=2, by="timestep,level", domain="near")


@pytest.fixture
def store(make_store):
    return _relabel(make_store(own=True, names=(*TRAIN, *VAL, *TEST)))


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


@pytest.fixture(scope="session")
def counting():
    """Makes features of a store that count what is read of them."""
    return Counting


@pytest.fixture(scope="session")
def probed_with_empty_truths(write_store, tmp_path_factory):
    """A val image and a test image show no class, and every probe finds something there."""
    store = write_store(tmp_path_factory.mktemp("empty") / "store", names=(*TRAIN, *VAL, *TEST))
    store = _relabel(store, **{name: {"mask": np.zeros((8, 8), np.uint8), "domain": "near"} for name in (VAL[0], TEST[0])})
    plan = plan_probes(store, sizes=(1, 3), repeats=2)
    return store, plan, run_probes(store, plan)


def _mean_opinion(store, found, name, timestep, number):
    """The mean over draws of a classifier's probabilities, of shape (pixels, classes), by hand."""
    done = next(done for done in found.probed if done.probe == Probe(timestep))
    block = store.block(name, [timestep])
    logits = dense_rows(block, "share").astype(float) @ done.fits[number].coef[0] + done.fits[number].intercept[0]
    positive = (1 / (1 + np.exp(-logits))).reshape(2, -1).mean(axis=0)
    return np.stack([1 - positive, positive], axis=1)


@pytest.fixture(scope="session")
def mean_opinion():
    """What a probe's classifier thinks of an image, from its activations and weights alone."""
    return _mean_opinion


def _dice_by_hand(store, name, mask):
    truth = store.mask(name).ravel()
    counted = truth != 255
    both = ((truth == 1) & (mask == 1) & counted).sum()
    return 2 * both / (((truth == 1) & counted).sum() + ((mask == 1) & counted).sum())


@pytest.fixture(scope="session")
def dice_by_hand():
    """Dice of a mask of an image, from pixels alone."""
    return _dice_by_hand
