"""tedm-extract: manifests, shards, dry runs, signals."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from processes import Forked

from tedm.cli import extract, inspect

COMMANDS = {"extract": extract.main, "inspect": inspect.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_all_problems_of_a_manifest_are_listed_before_any_work(bad, checkpoint, tmp_path):
    (bad / "images" / "scan 0.png").unlink()
    (bad / "images" / "scan 1.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(bad / "masks" / "scan 2.png")
    with (bad / "manifest.csv").open("a") as file:
        file.write("images/scan 3.png,masks/scan 3.png,train,p3,here\n")
    result = run("extract", bad, tmp_path / "store", "--checkpoint", checkpoint, "--classes", "0,255", code=1)
    for name in ("scan 0", "scan 1", "scan 2", "scan 3"):
        assert name in result.stderr
    assert not (tmp_path / "store").exists()
    values = run("extract", bad, tmp_path / "store", "--checkpoint", checkpoint, "--classes", "0,1", code=1)
    assert "255" in values.stderr


def test_a_shard_that_does_not_exist_is_wrong_usage(dataset, checkpoint, tmp_path):
    for nonsense in ("3/3", "1/0", "0/0", "-1/2", "a/b", "1", "1/2/3"):
        result = run("extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, f"--shard={nonsense}", code=2)
        assert repr(nonsense) in result.stderr
    assert not (tmp_path / "s").exists()


def test_shards_end_in_the_bytes_of_one_run(extracted, dataset, checkpoint, tmp_path):
    options = ["--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", "native", *QUICK]
    for part, count in (("1/2", 3), ("0/2", 4)):
        result = run("extract", dataset, tmp_path / "s", *options, "--shard", part)
        assert f"{count} images extracted, 0 were there" in result.stdout
    assert tree(tmp_path / "s") == tree(extracted)


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_dry_run_tells_what_a_run_takes_and_writes_nothing(dataset, checkpoint, tmp_path, layout):
    options = ["--checkpoint", checkpoint, "--timesteps", "1,50", "--layout", layout, *QUICK]
    before = tree(tmp_path)
    said = run("extract", dataset, tmp_path / "s", *options, "--dry-run").stdout
    assert tree(tmp_path) == before
    lines = dict(line.split(maxsplit=1) for line in said.splitlines()[1:])
    assert "7 images to extract" in said
    assert set(lines) == {"disk", "memory", "time"}
    run("extract", dataset, tmp_path / "s", *options)
    took = sum(file.stat().st_size for file in (tmp_path / "s").rglob("*") if file.is_file())
    number, unit = lines["disk"].split(",")[0].split()
    assert float(number) * {"MB": 1e6, "GB": 1e9}[unit] == pytest.approx(took, rel=0.1)
    assert "0 images to extract" in run("extract", dataset, tmp_path / "s", *options, "--dry-run").stdout


def test_a_disk_that_is_too_small_is_said_beforehand(dataset, checkpoint, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)  # where a dry run tries a few images there is room
    small = SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: small if Path(path) == tmp_path else free)
    result = run(
        "extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, "--timesteps", "1", *QUICK, "--dry-run", code=1
    )
    assert "disk    " in result.stdout
    assert "Make room" in result.stderr
    done = run("extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, "--timesteps", "1", *QUICK, code=1)
    assert "will need at least 0." in done.stderr
    assert not (tmp_path / "s").exists()


def test_progress_in_a_log_says_the_pace(dataset, checkpoint, tmp_path):
    said = run("extract", dataset, tmp_path / "s", "--checkpoint", checkpoint, "--timesteps", "1", *QUICK).stderr
    assert "extracting: 7 of 7 (100 %), " in said
    assert "images/s" in said


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_an_extraction_that_can_be_resumed(dataset, checkpoint, tmp_path, sent, code):
    settings = ["--checkpoint", checkpoint, "--timesteps", ",".join(map(str, range(30))), *QUICK]
    process = Forked("tedm.cli.extract", [dataset, tmp_path / "store", *settings])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("store/features/c.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "run the same command again" in said
    assert "Traceback" not in said
    result = run("extract", dataset, tmp_path / "store", *settings)
    computed = int(result.stdout.split(": ")[1].split()[0])
    assert computed < 7
    assert "missing" in run("inspect", tmp_path / "store").output


def test_classes_are_said_with_their_pixels_and_images(dataset, checkpoint, tmp_path):
    options = ["--checkpoint", checkpoint, "--timesteps", "1", *QUICK]
    said = run("extract", dataset, tmp_path / "s", *options).stderr
    masks = [np.asarray(Image.open(path)) for path in (dataset.parent / "masks").iterdir()]
    white = sum(int((mask == 255).sum()) for mask in masks)
    assert f"255 ({white:,} pixels in 7 images)" in said
    assert "note: " not in said


def test_what_cannot_be_right_is_refused_before_a_store_is_made(bad, checkpoint, tmp_path):
    images, options = bad / "images", ["--checkpoint", checkpoint, "--timesteps", "1", *QUICK]
    with Image.open(images / "scan 0.png") as image:
        deep = np.asarray(image).astype(np.uint16) * 16
        Image.merge("RGB", [image, image.transpose(Image.Transpose.ROTATE_180), image]).save(images / "scan 0.png")
    assert "1 image of 7 cannot be used" in (refused := run("extract", images, tmp_path / "s", *options, code=1)).stderr
    assert "scan 0.png: is in colour" in refused.stderr
    for path in images.iterdir():
        Image.fromarray(deep).save(path)
    clipped = run("extract", images, tmp_path / "s", *options, "--intensity-range", "5000,6000", code=1).stderr
    assert "all 7 images that were looked at would be of a single grey value" in clipped
    assert not (tmp_path / "s").exists()
    (images / "scan 7.pnf").touch()
    assert "scan 7.pnf" in run("extract", images, tmp_path / "s", *options, "--strict", code=1).stderr
    for more in (["--dry-run"], []):
        said = run("extract", images, tmp_path / "s", *options, *more).stderr
        assert "--intensity-range=0,4095 fits" in said
        assert "scan 7.pnf" in said


def test_a_dry_run_takes_a_blank_image_among_others(bad, checkpoint, tmp_path):
    Image.fromarray(np.zeros((20, 26), np.uint8)).save(bad / "images" / "scan 0.png")
    options = ["--checkpoint", checkpoint, "--timesteps", "1", *QUICK]
    assert "7 images to extract" in run("extract", bad, tmp_path / "s", *options, "--dry-run").stdout


def test_views_are_extracted_told_and_learned_from(dataset, checkpoint, tmp_path):
    from tedm.cli import fit, inspect, verify

    store = tmp_path / "store"
    arguments = [dataset, store, "--checkpoint", checkpoint, *QUICK, "--layout", "native", "--timesteps", "1"]
    told = [run("extract", *arguments, *more, "--dry-run").stdout.splitlines() for more in ([], ["--views", 2])]
    assert [lines[0].split(" (")[0] for lines in told] == [f"{store}: 7 images to extract", f"{store}: 15 images to extract"]
    assert not store.exists()
    done = run("extract", *arguments, "--views", 2)
    assert done.stdout.splitlines()[-1] == f"{store / 'views'}: 8 views extracted, 0 were there"
    assert run("extract", *arguments, "--views", 2).stdout.splitlines()[-1].endswith("0 views extracted, 8 were there")
    assert run("extract", *arguments).stdout.count("\n") == 1  # what is there stays
    runner = CliRunner()
    said = runner.invoke(inspect.main, [str(store)]).stdout
    assert "8 of 8, changes full, seed 0" in said
    fitted = runner.invoke(
        fit.main,
        [
            str(store),
            str(tmp_path / "head"),
            "--method",
            "tedm",
            "--views",
            "2",
            "--timesteps",
            "1",
            "--iterations",
            "5",
            "--images",
            "3",
        ],
    )
    assert "from 3 images with 2 views of each, 5 iterations" in fitted.stdout
    assert f"{store / 'views'}: 8 views read, 0 missing, 0 damaged" in runner.invoke(verify.main, [str(store)]).stdout
    assert "--views is -1; it must be at least 0" in run("extract", *arguments, "--views", -1, code=2).stderr
    assert "views   not estimated: no image is left to extract" in run("extract", *arguments, "--views", 3, "--dry-run").stdout


def test_a_shard_says_which_views_wait_for_the_other_one(dataset, checkpoint, tmp_path):
    store = tmp_path / "store"
    arguments = [dataset, store, "--checkpoint", checkpoint, *QUICK, "--layout", "native", "--timesteps", "1", "--views", 1]
    first = run("extract", *arguments, "--shard", "1/2").stdout.splitlines()[-1]
    assert first.endswith("still missing: run the same command again once all images are there")
    run("extract", *arguments, "--shard", "0/2")
    assert run("extract", *arguments).stdout.splitlines()[-1].startswith(f"{store / 'views'}: ")
    assert run("extract", *arguments).stdout.splitlines()[-1].endswith("0 views extracted, 4 were there")
