"""Fits as the published code makes them: their settings, the labels that they take, and what they are called."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import (
    HeadOptions,
    Segmenter,
    fit,
    identities_csv,
    identities_from,
    identity_of,
    load_head,
    method_named,
    names_in_records,
    save_head,
)
from tedm.heads.segmenter.published import published_arguments
from tedm.store import FeatureStore

TIMESTEPS = (1, 50, 400)
METHODS = ("tedm", "ledm", "ledme")


@pytest.fixture
def store(make_split_store: Callable[..., FeatureStore]) -> FeatureStore:
    """Images a, b and c to learn from, d and e to choose on."""
    return make_split_store()


def as_published(store: FeatureStore, name: str = "ledm", *, members: int | None = None, **options: object) -> Segmenter:
    method = method_named(name, timesteps=TIMESTEPS, members=members, published=True)
    return fit(store, method, **({"iterations": 30} | options))  # type: ignore[arg-type]


def fair(store: FeatureStore, name: str = "ledm", **options: object) -> Segmenter:
    return fit(store, method_named(name, timesteps=TIMESTEPS), **({"iterations": 2} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", METHODS)
def test_a_published_method_is_one_mlp_in_the_papers_batches_chosen_on_val(store: FeatureStore, name: str) -> None:
    head = as_published(store, name)
    arguments = head.estimator.constructor()
    asked = ("members", "vote", "batch", "images_per_batch", "learning_rate")
    assert [arguments[name] for name in asked] == [1, "soft", "images", 16, 1e-4]
    assert (head.method.members, head.method.vote, head.method.published) == (1, "soft", True)
    assert head.method.rows == method_named(name).rows
    about = head.provenance
    assert (about.images, about.validation_images, about.labels_used) == (["a", "b", "c"], ["d", "e"], 5)
    looks = about.report.validation_curve
    assert len(looks) == 30  # to the end
    assert about.report.iterations == 1 + int(np.argmin(looks))  # and the best of all
    assert published_arguments(name, "mlp", HeadOptions())["iterations"] == 20_000


def test_a_fit_as_published_runs_to_its_end(store: FeatureStore) -> None:
    """At 99 iterations there are more looks than at any other number."""
    head = as_published(store, iterations=99, learning_rate=0.3)
    looks = head.provenance.report.validation_curve
    assert len(looks) == 99
    assert looks[-1] > min(looks)


def test_the_first_rows_of_the_list_are_learned_from_whatever_the_seed(store: FeatureStore) -> None:
    of_seeds = [as_published(store, images=2, seed=seed, iterations=1) for seed in range(4)]
    assert {tuple(head.provenance.images) for head in of_seeds} == {("a", "b")}
    assert {head.provenance.order for head in of_seeds} == {"manifest"}
    drawn = {tuple(fair(store, images=2, seed=seed).provenance.images) for seed in range(4)}
    assert len(drawn) > 1
    assert fair(store, images=2, seed=1, order="manifest").provenance.images == ["a", "b"]
    asked = as_published(store, images=2, seed=1, iterations=1, order="seed")
    assert asked.provenance.images == fair(store, images=2, seed=1).provenance.images


def test_options_that_are_named_override_what_is_published(store: FeatureStore) -> None:
    head = as_published(
        store, members=3, batch="pixels", pixels_per_batch=9, learning_rate=0.01, patience=2, params={"hidden": [4]}
    )
    arguments = head.estimator.constructor()
    asked = ("members", "batch", "pixels_per_batch", "learning_rate", "patience", "images_per_batch")
    assert [arguments[name] for name in asked] == [3, "pixels", 9, 0.01, 2, 16]
    assert list(arguments["hidden"]) == [4]  # type: ignore[arg-type]
    unchosen = as_published(store, params={"patience": None})
    assert (unchosen.provenance.labels_used, unchosen.provenance.chosen_on) == (3, ())
    with pytest.raises(TedmError, match="ledm as published learns from whole images; add --batch pixels"):
        as_published(store, pixels_per_batch=9)


def test_heads_as_published_are_told_apart_in_tables(store: FeatureStore) -> None:
    heads = {
        "fair": fair(store),
        "listed": fair(store, order="manifest"),
        "published": as_published(store, iterations=2),
        "drawn": as_published(store, iterations=2, order="seed"),
        "shorter": as_published(store, members=2, iterations=1),
    }
    names = names_in_records(heads)
    assert names["fair"] == "ledm, iterations 2"
    del heads["shorter"]
    assert names["shorter"] == "ledm, as published, members 2, iterations 1"
    assert names_in_records(heads) == {
        "fair": "ledm",
        "listed": "ledm, training order manifest",
        "published": "ledm, as published",
        "drawn": "ledm, as published, training order seed",
    }
    identities = {name: identity_of(heads[key]) for key, name in names_in_records(heads).items()}
    assert identities_from([*csv.reader(io.StringIO(identities_csv(identities)))]) == identities


def test_a_folder_says_that_a_head_is_as_published_and_says_nothing_new_of_others(store: FeatureStore, tmp_path: Path) -> None:
    published, plain = as_published(store), fair(store)
    for name, head in (("published", published), ("plain", plain)):
        save_head(head, tmp_path / name)
        read = load_head(tmp_path / name)
        assert (read.method, read.provenance) == (head.method, head.provenance)
        assert names_in_records({"": read}) == names_in_records({"": head})
    said = {name: json.loads((tmp_path / name / "head.json").read_text()) for name in ("published", "plain")}
    assert (said["published"]["method"]["published"], said["published"]["provenance"]["order"]) == (True, "manifest")
    assert "published" not in said["plain"]["method"]
    assert "order" not in said["plain"]["provenance"]


def test_a_probe_stays_as_it_is_and_others_without_a_published_setting_are_refused() -> None:
    assert method_named("timestep:50", published=True) == method_named("timestep:50")
    with pytest.raises(TedmError, match="tedm-logistic has no published setting; leave out --as-published, or choose one of"):
        method_named("tedm", head="logistic", published=True)
    assert method_named("tedm", head="mlp", published=True).published


def test_no_val_split_is_said_before_the_fit(make_store: Callable[..., FeatureStore]) -> None:
    def no_step(done: int, total: int, loss: float) -> None:
        raise AssertionError("the fit has begun")

    with pytest.raises(TedmError, match="^--as-published needs labelled images of split 'val', and there are none"):
        as_published(make_store(), progress=no_step)


@pytest.mark.parametrize(
    ("path", "value"), [("method.published", "yes"), ("method.published", 3), ("provenance.order", "list")]
)
def test_what_a_damaged_folder_says_of_it_is_refused(store: FeatureStore, tmp_path: Path, path: str, value: object) -> None:
    save_head(as_published(store, iterations=1), tmp_path / "head")
    file = tmp_path / "head" / "head.json"
    said = json.loads(file.read_text())
    part, _, key = path.partition(".")
    said[part][key] = value
    file.write_text(json.dumps(said))
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")
