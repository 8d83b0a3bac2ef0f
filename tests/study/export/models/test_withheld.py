"""Names of images and patients do not leave with a head; what it predicts does not change."""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from tedm.heads import fingerprint_of, load_head, save_head
from tedm.store import FeatureStore
from tedm.store.fingerprints import Fingerprint, Pictures
from tedm.store.volumes.normalisation import Normalisation
from tedm.study.export.models.withheld import without_names


def test_names_groups_and_domains_become_numbers(fitted):
    head = load_head(fitted)
    assert sorted(head.provenance.images) == ["scan 0", "scan 1", "scan 2", "scan 3"]
    learned = without_names(head).provenance.learned_from
    assert [each.name for each in learned] == [f"withheld image {number}" for number in (1, 2, 3, 4)]
    assert [each.group for each in learned] == [f"withheld group {number}" for number in (1, 2, 3, 4)]
    assert {each.domain for each in learned} == {""}
    assert [each.digest for each in learned] == [each.digest for each in head.provenance.learned_from]


def test_images_of_a_group_stay_together_and_those_without_one_apart(fitted):
    head = load_head(fitted)
    images = (
        Fingerprint("a", "x", "here"),
        Fingerprint("b", "x", "there"),
        Fingerprint("c", "x", "here"),
        Fingerprint("d", "d"),
    )
    seen = dataclasses.replace(head.provenance, learned_from=images, chosen_on=(images[0],))
    about = without_names(dataclasses.replace(head, provenance=seen)).provenance
    first, second, third, alone = about.learned_from
    assert first.group == third.group != second.group
    assert not alone.declared_group
    assert about.chosen_on == (first,)


def test_it_predicts_the_same_bits_and_is_read_again(fitted, extracted, tmp_path):
    head, store = load_head(fitted), FeatureStore.open(extracted)
    save_head(without_names(head), tmp_path / "withheld")
    again = load_head(tmp_path / "withheld")
    assert fingerprint_of(again) != fingerprint_of(head)
    block = store.block("scan 5")
    np.testing.assert_array_equal(again.probabilities(block), head.probabilities(block))
    text = json.dumps(json.loads((tmp_path / "withheld" / "head.json").read_text()))
    assert "scan" not in text
    assert '"p0"' not in text


def test_its_training_images_still_count_as_seen_by_their_pictures(fitted, extracted):
    seen = without_names(load_head(fitted)).provenance.seen
    pictures = Pictures(FeatureStore.open(extracted))
    names = [match.name for match in pictures.matches([f"scan {number}" for number in range(7)], seen)]
    assert names == ["scan 0", "scan 1", "scan 2", "scan 3"]


def test_patients_of_a_normalisation_are_counted_and_not_named(fitted):
    head = load_head(fitted)
    normalisation = Normalisation("zscore", means=(1.0,), deviations=(2.0,), patients=("Smith", "Jones"))
    head = dataclasses.replace(head, settings=dataclasses.replace(head.settings, normalisation=normalisation))
    told = without_names(head).settings.normalisation
    assert told.patients == ("withheld patient 1", "withheld patient 2")
    assert str(told) == str(normalisation)
