"""What a head was made from comes back from its JSON, from that of earlier versions too, and never half."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import FitReport, Provenance, fit, load_head, method_named, save_head
from tedm.heads.segmenter.provenance import CrossEntropies
from tedm.store import FeatureStore
from tedm.store.fingerprints import Fingerprint, fingerprints

ANNA, NOBODY = Fingerprint("s0", "anna", "a", "ab" * 32), Fingerprint("s1", "", "", "")
WHOLE = Provenance(
    tedm="1.0",
    learned_from=(ANNA, NOBODY),
    split="train",
    domain="a",
    seed=3,
    pixels_per_image=7,
    sampling="balanced",
    labels_used=3,
    chosen_on=(Fingerprint("s2", "s2", "a", "cd" * 32),),
    report=FitReport(5, (0.5, 0.25), (0.75,), True, {"ridge": 2.0, "ridge_path": [{"ridge": 1.0, "loss": 0.5}]}),
    learned_weights=CrossEntropies(0.5, 0.25),
    calibration=CrossEntropies(0.25, 0.125),
)


@pytest.mark.parametrize("provenance", [WHOLE, Provenance("1.0", (ANNA,))], ids=["whole", "least"])
def test_what_was_written_comes_back(provenance: Provenance) -> None:
    written = json.loads(json.dumps(provenance.to_json()))
    assert Provenance.from_json(written) == provenance
    assert (written["images"], written["validation_images"]) == (provenance.images, provenance.validation_images)


def test_a_training_size_counts_images_unless_groups_were_asked_for() -> None:
    """And a head that counts images says no more than heads of before, which are read as such."""
    assert (WHOLE.n, WHOLE.n_counts) == (2, "images")
    assert {"n_counts", "groups"} & set(WHOLE.to_json()) == set()
    counted = dataclasses.replace(WHOLE, groups=1, n_counts="groups")
    assert (counted.n, counted.labels_used) == (1, 3)
    assert Provenance.from_json(json.loads(json.dumps(counted.to_json()))) == counted
    assert dataclasses.replace(WHOLE, groups=1).n == 2  # images of so many groups


def test_a_name_without_a_fingerprint_is_known_by_name_and_domain(make_store: Callable[..., FeatureStore]) -> None:
    kept = fingerprints(make_store(), ["one", "two"])
    images = {"images": ["one", "two"], "fingerprints": {"images": [dataclasses.asdict(image) for image in kept]}}
    written = {"tedm": "0.2", "domain": "", **images}
    assert Provenance.from_json(written).learned_from == tuple(kept)
    assert Provenance.from_json(written).chosen_on == ()
    older = Provenance.from_json({"tedm": "0.1", "images": ["s0"], "domain": "a", "validation_images": ["s2"]})
    assert (older.learned_from, older.chosen_on) == ((Fingerprint("s0", domain="a"),), (Fingerprint("s2"),))
    assert older.seen == (*older.learned_from, *older.chosen_on)
    added = Provenance.from_json(written | {"images": ["two", "s9"]})
    assert added.learned_from == (kept[1], Fingerprint("s9"))


def test_what_came_of_a_fit_is_found_where_earlier_versions_wrote_it() -> None:
    older = {
        "tedm": "0.1",
        "images": ["s0"],
        "iterations": 5,
        "loss_curve": [0.5, 0.25],
        "fitted": "all",
        "calibration": {"cross_entropy_before": 0.25, "cross_entropy_after": 0.125},
        "learned_weights": {"cross_entropy_of_equal_weights": 0.5, "cross_entropy": 0.25},
    }
    read = Provenance.from_json(older)
    assert read.report == FitReport(iterations=5, loss_curve=(0.5, 0.25), details={"fitted": "all"})
    assert (read.learned_weights, read.calibration) == (WHOLE.learned_weights, WHOLE.calibration)


DAMAGE: dict[str, dict[str, object]] = {
    "names that are one text": {"images": "s0"},
    "names that are numbers": {"images": [3]},
    "names of validation images": {"validation_images": {"s0": 1}},
    "fingerprints without roles": {"fingerprints": []},
    "fingerprints of a number": {"fingerprints": {"images": 3}},
    "fingerprints that are names": {"fingerprints": {"images": ["s0"]}},
    "a fingerprint without its parts": {"fingerprints": {"images": [{"name": "s0"}]}},
    "a digest that is a number": {"fingerprints": {"images": [{"name": "s0", "group": "", "domain": "", "digest": 3}]}},
    "a domain that is a number": {"domain": 3},
    "a seed that is a text": {"seed": "three"},
    "a sampling that there is not": {"sampling": "even"},
    "a report that is none": {"fit": [1]},
    "losses that are texts": {"fit": {"loss_curve": ["low"]}},
    "a calibration that is a number": {"calibration": 2},
    "a calibration without its end": {"calibration": {"cross_entropy_before": 0.25}},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_refused_and_not_half_read(damage: str) -> None:
    written = json.loads(json.dumps(WHOLE.to_json())) | DAMAGE[damage]
    with pytest.raises(ValueError, match="Expected|missing|Invalid"):
        Provenance.from_json(written)


@pytest.fixture(scope="module")
def folder(write_store: Callable[..., FeatureStore], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved head of one timestep."""
    path = tmp_path_factory.mktemp("provenance")
    save_head(fit(write_store(path / "store"), method_named("timestep:50")), path / "head")
    return path / "head"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_head_with_a_damaged_record_is_refused_in_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    description = json.loads((folder / "head.json").read_text())
    description["provenance"] |= DAMAGE[damage]
    copy = tmp_path / "head"
    copy.mkdir()
    (copy / "head.json").write_text(json.dumps(description))
    (copy / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    with pytest.raises(TedmError) as refused:
        load_head(copy)
    assert str(refused.value).startswith(f"the head {copy} is damaged (")
    assert str(refused.value).endswith("fit it again with tedm-fit")
    assert "\n" not in str(refused.value)


def test_images_that_decide_again_count_once() -> None:
    again = WHOLE.having_chosen_on([*WHOLE.chosen_on, ANNA])
    assert (again.labels_used, again.chosen_on) == (4, (*WHOLE.chosen_on, ANNA))
    assert again.having_chosen_on(again.chosen_on) == again
