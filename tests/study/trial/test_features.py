"""The features of a study: named, or extracted, whole in any case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trial_study import of_images, of_store, write_study

from tedm.errors import TedmError
from tedm.store import FeatureStore
from tedm.study import read_study
from tedm.study.trial.features import extraction_costs, labels_of_study, place_of_features, sources_of, whole_features


def test_a_store_that_is_named_is_taken_as_it_is(extracted: Path, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, of_store(extracted)))
    assert sources_of(study, tmp_path / "out") == []
    features = whole_features(study, tmp_path / "out", [])
    assert features.labels == FeatureStore.open(extracted).labels == labels_of_study(study, tmp_path / "out", [])
    assert extraction_costs(study, tmp_path / "out", []) == []


def test_images_of_several_places_become_one_store_and_what_is_known_before_is_what_it_says(
    dataset: Path, checkpoint: Path, write_images: Callable[..., Path], tmp_path: Path
) -> None:
    other = write_images(tmp_path / "elsewhere", train=0, test=2)
    for folder in ("images", "masks"):
        for file in (tmp_path / "elsewhere" / folder).iterdir():
            file.rename(file.with_name(f"other {file.name}"))
    other.write_text(other.read_text().replace("/scan", "/other scan").replace(",p", ",q"))
    text = of_images(dataset, checkpoint).replace(f"'{dataset}'", f"['{dataset}', 'elsewhere']")
    study, out = read_study(write_study(tmp_path, text)), tmp_path / "out"
    sources = sources_of(study, out)
    before = labels_of_study(study, out, sources)
    assert "7 images to extract" in extraction_costs(study, out, sources)[0]
    assert not out.exists()
    for shard in ((0, 2), None):
        features = whole_features(study, out, sources, shard=shard, device="cpu", threads=1)
        assert features.missing() == []
        for part in ("names", "splits", "groups", "domains", "original_sizes"):
            assert getattr(features.labels, part) == getattr(before, part)
    assert len(before) == 9
    assert extraction_costs(study, out, sources) == []
    assert labels_of_study(study, out, sources) == features.labels


def test_an_image_in_two_places_is_refused(
    dataset: Path, checkpoint: Path, write_images: Callable[..., Path], tmp_path: Path
) -> None:
    write_images(tmp_path / "again", train=1, test=0)
    text = of_images(dataset, checkpoint).replace(f"'{dataset}'", f"['{dataset}', 'again']")
    with pytest.raises(TedmError, match="an image scan 0 is in .* and in again"):
        sources_of(read_study(write_study(tmp_path, text)), tmp_path / "out")


def test_a_store_that_lacks_images_is_refused(extracted: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.discard([store.labels.names[2]])
    study = read_study(write_study(tmp_path, "store = 'store'"))
    with pytest.raises(TedmError, match="lacks 1 image .scan 2 say.; run what extracted it again"):
        whole_features(study, tmp_path / "out", [])


def test_a_bucket_stays_a_url(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, "store = 's3://bucket/features'"))
    assert place_of_features(study, tmp_path) == "s3://bucket/features"


def test_views_are_extracted_with_the_features_and_methods_learn_from_them(
    dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    from tedm.heads import load_head
    from tedm.study import run_study

    methods = '[[methods]]\nmethod = "timestep:50"\nviews = 1\niterations = 20\n'
    head = 'title = "Views"\nsizes = [2]\nseeds = [0]\n'
    text = of_images(dataset, checkpoint) + '\nviews = 1\nview_changes = "intensity"'
    study, out = read_study(write_study(tmp_path, text, head=head, methods=methods)), tmp_path / "out"
    assert "11 images to extract" in extraction_costs(study, out, sources_of(study, out))[0]
    run_study(study, out, device="cpu", threads=1)
    views = FeatureStore.open(out / "features").views()
    assert views is not None
    assert (len(views.features.labels), views.kind.changes) == (4, "intensity")
    fitted = load_head(out / "units" / "timestep-50" / "n-2-seed-0" / "head")
    assert (fitted.method.views, fitted.provenance.labels_used) == (1, 2)


def test_views_that_a_method_learns_from_and_nobody_has_are_refused_before_any_work(
    extracted: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    from tedm.study import run_study

    methods = '[[methods]]\nmethod = "timestep:50"\nviews = 3\n'
    head = 'title = "Views"\nsizes = [2]\nseeds = [0]\n'
    for features, there in ((of_store(extracted), "none"), (of_images(dataset, checkpoint) + "\nviews = 2", "2")):
        study = read_study(write_study(tmp_path, features, head=head, methods=methods))
        with pytest.raises(TedmError, match=f"it learns from 3 views of each image, and the features have {there}"):
            run_study(study, tmp_path / "out", device="cpu")
        assert not (tmp_path / "out").exists()
