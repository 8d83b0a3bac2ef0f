"""From one label to the next: tedm-rank, masks, tedm-label, tedm-fit; and cleaned masks."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import evaluate, extract, fit, label, predict, rank
from tedm.heads.segmenter.postprocess import Cleaning
from tedm.store import FeatureStore

COMMANDS = {
    "extract": extract.main,
    "label": label.main,
    "fit": fit.main,
    "rank": rank.main,
    "predict": predict.main,
    "evaluate": evaluate.main,
}
FEW = ["--timesteps", "1,50", "--head", "logistic"]


def run(command, *arguments, code=0):
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def made(dataset, checkpoint, tmp_path_factory):
    """A folder with a store in which one of four training images has a mask, and a head from that one."""
    folder = tmp_path_factory.mktemp("rank")
    lines = dataset.read_text().splitlines()
    few = [lines[0], lines[1], *(line.replace(line.split(",")[1], "") for line in lines[2:5]), *lines[5:]]
    (dataset.parent / "few.csv").write_text("\n".join(few) + "\n")
    quick = ["--precision", "float32", "--threads", "1", "--device", "cpu", "--layout", "native"]
    run("extract", dataset.parent / "few.csv", folder / "store", "--checkpoint", checkpoint, "--timesteps", "1,50", *quick)
    run("fit", folder / "store", folder / "head", *FEW)
    return folder


@pytest.mark.parametrize("told", [True, False], ids=["paths of images", "names alone"])
def test_it_goes_all_the_way_round(made, dataset, tmp_path, told):
    store = tmp_path / "store"
    shutil.copytree(made / "store", store)
    images = ["--images", dataset.parent / "few.csv"] if told else []
    result = run("rank", store, made / "head", "--top", 2, "--out", tmp_path / "next", *images)
    ranking = rows(tmp_path / "next" / "ranking.csv")
    assert [row["rank"] for row in ranking] == ["1", "2", "3"]
    assert {row["image"] for row in ranking} == {"scan 1", "scan 2", "scan 3"}
    assert f"1  {ranking[0]['image']}" in result.stdout
    with Image.open(tmp_path / "next" / "ranking.png") as sheet:
        assert sheet.width > 500

    template = rows(tmp_path / "next" / "annotate-next.csv")
    assert [row["name"] for row in template] == [row["image"] for row in ranking[:2]]
    before = FeatureStore.open(store).labels
    for row in template:
        assert (tmp_path / "next" / row["image"]).exists() == told
        row["mask"] = str(dataset.parent / "masks" / f"{row['name']}.png")
    with (tmp_path / "next" / "annotate-next.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(template[0]))
        writer.writeheader()
        writer.writerows(template)
    run("label", store, tmp_path / "next" / "annotate-next.csv")
    after = FeatureStore.open(store).labels
    assert (after.groups, after.domains) == (before.groups, before.domains)
    assert "from 3 images" in run("fit", store, tmp_path / "head", *FEW).stdout
    assert "1 images ranked" in run("rank", store, tmp_path / "head").stdout
    run("evaluate", store, tmp_path / "head")


def test_a_mask_of_another_size_is_refused_though_the_image_is_not_opened(made, tmp_path):
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "m.png")
    (tmp_path / "next.csv").write_text("name,image,mask\nscan 1,scan 1,m.png\n")
    assert "5 x 5 pixels" in run("label", made / "store", tmp_path / "next.csv", code=1).stderr
    (tmp_path / "next.csv").write_text("name,image,mask\nstranger,stranger,m.png\n")
    assert "stranger" in run("label", made / "store", tmp_path / "next.csv", code=1).stderr


def test_what_cannot_be_ranked_is_one_line(made, dataset, checkpoint, tmp_path):
    store, head = made / "store", made / "head"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    refusals = [
        (["--top", 4], "--top 4 is above the 3 images"),
        (["--split", "test"], "of 3, 3 have masks (--all ranks them, too)"),
        (["--domain", "nowhere"], "no image of domain 'nowhere'"),
        (["--out", tmp_path / "full"], "is not empty"),
        (["--images", dataset], "name a folder for it with --out"),
        (["--memory", "1MB"], "--memory 0.001 GB is not enough"),
        (["--timesteps", 800], "800"),
    ]
    for arguments, said in refusals:
        result = run("rank", store, head, *arguments, code=1)
        assert said in result.stderr, result.stderr
        assert result.stderr.count("tedm: ") == 1
    other = tmp_path / "other"
    run("extract", dataset, other, "--checkpoint", checkpoint, "--timesteps", "1,50", "--levels", "0", "--device", "cpu")
    assert "made for other features" in run("rank", other, head, "--all", code=1).stderr
    assert "3 images ranked" in run("rank", store, head, "--all", "--split", "test", "--no-diverse").stdout


def test_cleaned_masks_are_written_and_scored_beside_plain_ones(made, tmp_path):
    store, head = made / "store", made / "head"
    run("predict", head, store, tmp_path / "plain", "--device", "cpu")
    asked = ["--largest", 1, "--fill-holes", "--min-area", 30]
    said = run("predict", head, store, tmp_path / "clean", "--device", "cpu", *asked).stdout
    assert "cleaned: largest=1+fill-holes+min-area=30" in said
    changed = 0
    for path in sorted((tmp_path / "plain").glob("*.png")):
        with Image.open(path) as plain, Image.open(tmp_path / "clean" / path.name) as clean:
            before, after = np.array(plain), np.array(clean)
        grown = max(before.shape) ** 2 / 16**2  # padded to a square of 16 x 16
        expected = Cleaning(1, True, 30 * grown)((before > 0).astype(np.uint8))
        np.testing.assert_array_equal(after, 255 * expected)
        changed += (before != after).sum()
    assert changed
    run("evaluate", store, head, *asked, "--out", tmp_path / "t.csv")
    methods = [row["method"] for row in rows(tmp_path / "t.csv") if row["domain"] == "here"]
    assert methods == ["tedm-logistic", "tedm-logistic+largest=1+fill-holes+min-area=30"]
    assert run("predict", head, store, tmp_path / "x", "--largest", 0, code=2).stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "an image comes first where it stands for most of the others (cover), and is unlike those before it and the"),
        (["--by", "peak", "--no-diverse"], "an image comes first where the head is least sure of a part of it (peak)\n"),
    ],
)
def test_a_list_says_why_it_is_in_its_order_and_what_to_do_with_it(made, options, said):
    printed = run("rank", made / "store", made / "head", *options).stdout
    assert f"in this order: {said}" in printed
    assert printed.endswith("--out FOLDER writes a manifest for that\n")
