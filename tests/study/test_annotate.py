"""A ranking as a folder, whole or absent."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.heads import load_head, rank
from tedm.store import FeatureStore
from tedm.study import choose_next, shown_scores, write_ranking
from tedm.study.annotate import Chosen, paths_of_images


def test_the_ranking_that_is_written_is_the_one_that_is_returned(
    extracted: Path, fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    store, head = FeatureStore.open(extracted), load_head(fitted)
    options = {"split": "test", "labelled": True, "by": "entropy", "top": 2}
    chosen = choose_next(store, head, images=dataset, folder=tmp_path / "a" / "next", **options)
    assert list(chosen.ranking) == rank(store, head, [each.name for each in chosen.ranking], by="entropy", top=2)
    rows = list(csv.DictReader((tmp_path / "a" / "next" / "ranking.csv").read_text().splitlines()))
    assert [(row["rank"], row["image"]) for row in rows] == [(str(n), each.name) for n, each in enumerate(chosen.ranking, 1)]
    assert [row["entropy"] for row in rows] == [f"{each.entropy:.6f}" for each in chosen.ranking]
    template = list(csv.DictReader((tmp_path / "a" / "next" / "annotate-next.csv").read_text().splitlines()))
    assert [row["name"] for row in template] == [each.name for each in chosen.first]
    for row in template:  # relative to where the folder is in the end
        assert (tmp_path / "a" / "next" / row["image"]).resolve() == dataset.parent / "images" / f"{row['name']}.png"
    with Image.open(tmp_path / "a" / "next" / "ranking.png") as sheet:
        assert sheet.width > 300
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["next"]


def test_a_folder_that_cannot_be_written_is_absent(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    store, head = FeatureStore.open(extracted), load_head(fitted)
    ranking = tuple(rank(store, head, ["scan 5", "scan 6"]))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TedmError, match="cannot write the ranking .*; make room"):
        write_ranking(tmp_path / "file" / "next", store, head, Chosen(ranking, 1))
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


def test_paths_without_a_folder_and_more_images_than_there_are_are_refused(
    extracted: Path, fitted: Path, dataset: Path
) -> None:
    store, head = FeatureStore.open(extracted), load_head(fitted)
    with pytest.raises(TedmError, match="name a folder for it with --out"):
        choose_next(store, head, images=dataset)
    with pytest.raises(TedmError, match="--top 4 is above the 3 images"):
        choose_next(store, head, split="test", labelled=True, top=4)


def test_the_score_of_a_ranking_is_shown_first_and_once() -> None:
    assert shown_scores("peak") == ["peak", "entropy", "disagreement"]
    assert shown_scores("entropy") == ["entropy", "disagreement", "cover"]


def test_images_are_found_by_their_names(extracted: Path, dataset: Path) -> None:
    paths = paths_of_images(dataset, FeatureStore.open(extracted).labels)
    assert paths["scan 3"] == dataset.parent / "images" / "scan 3.png"
    assert len(paths) == 7
