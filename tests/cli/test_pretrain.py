"""tedm-pretrain from a folder of images to a checkpoint and its pictures."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from contrast_files import write_contrasted
from PIL import Image

from tedm.cli import extract
from tedm.cli.pretrain import main
from tedm.extract.backbones import load_backbone
from tedm.extract.pretrain import read_pretrained

SIZES = ["--image-size", "16", "--width", "8", "--multipliers", "1,2", "--timesteps-total", "50", "--device", "cpu"]
SMALL = [*SIZES, "--samples", "2", "--batch-size", "2"]


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def manifest(dataset: Path, tmp_path: Path) -> Path:
    """The images of the dataset with splits of our own."""
    images = sorted((dataset.parent / "images").iterdir())
    splits = ["train", "train", "train", "", "val", "test", "test"]
    lines = [f"{image},{split}" for image, split in zip(images, splits, strict=True)]
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(["image,split", *lines]) + "\n")
    return path


def test_a_run_leaves_a_checkpoint_a_curve_and_pictures(manifest: Path, tmp_path: Path) -> None:
    arguments = [*SMALL, "--iterations", 4, "--report-every", 2, "--checkpoint-every", 2]
    result = run(manifest, tmp_path / "ddpm.safetensors", *arguments)
    assert "2 images of the split test left out" in result.stderr
    assert "learning from 4 images, 1 held out" in result.stderr
    assert "4 iterations on 4 images of 16 x 16" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ddpm-2.safetensors", "ddpm-4.safetensors", "ddpm-pictures", "ddpm.safetensors", "manifest.csv",
    ]  # fmt: skip
    pictures = tmp_path / "ddpm-pictures"
    names = ["loss.csv", "loss.png", "samples-0.png", "samples-2.png", "samples-4.png"]
    assert sorted(path.name for path in pictures.iterdir()) == names
    rows = [line.split(",") for line in (pictures / "loss.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["iteration", "0", "2", "4"]
    assert all(float(row[2]) > 0 for row in rows[1:])
    for name in names[1:]:
        with Image.open(pictures / name) as picture:
            assert min(picture.size) > 50


def test_groups_are_held_out_where_there_is_no_val(dataset: Path, tmp_path: Path) -> None:
    images = sorted((dataset.parent / "images").iterdir())
    lines = [f"{images[number % len(images)]},{number},p{number // 2}" for number in range(20)]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,name,patient", *lines]) + "\n")
    quick = [*SMALL, "--iterations", 1, "--samples", 0]
    assert "learning from 18 images, 2 held out" in run(tmp_path / "manifest.csv", tmp_path / "a", *quick).stderr
    assert (
        "learning from 20 images, 0 held out" in run(tmp_path / "manifest.csv", tmp_path / "b", *quick, "--held-out", 0).stderr
    )


def test_the_published_format_is_read_like_ours(manifest: Path, tmp_path: Path) -> None:
    quick = [*SMALL, "--iterations", 2, "--samples", 0]
    run(manifest, tmp_path / "ours.safetensors", *quick)
    run(manifest, tmp_path / "theirs.pt", *quick, "--format", "published")
    ours, theirs = load_backbone(tmp_path / "ours.safetensors"), load_backbone(tmp_path / "theirs.pt")
    for mine, other in zip(ours.network.parameters(), theirs.network.parameters(), strict=True):
        assert mine.equal(other)
    assert ours.step == theirs.step == 2


def test_a_published_checkpoint_under_another_name_is_refused_before_the_work(manifest: Path, tmp_path: Path) -> None:
    said = run(manifest, tmp_path / "a.safetensors", *SMALL, "--format", "published", code=1).stderr
    assert said.splitlines() == [
        f"tedm: {tmp_path}/a.safetensors would be a file of PyTorch in the published format under the name of a safetensors "
        f"file; name it {tmp_path}/a.pt, or leave out --format published"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.csv"]


def test_a_resume_with_other_settings_names_them(manifest: Path, tmp_path: Path) -> None:
    quick = [*SMALL, "--samples", 0, "--iterations", 2]
    run(manifest, tmp_path / "a", *quick, "--keep-state")
    other = run(manifest, tmp_path / "a", *quick, "--resume", "--seed", 3, "--precision", "bfloat16", "--held-out", 0, code=1)
    assert (
        "\n  precision: the state has float32, this run asks for bfloat16\n  seed: the state has 0, this run asks for 3\n"
        in other.stderr
    )
    assert "\n  images: the state has" in other.stderr
    assert "nothing to resume" in run(manifest, tmp_path / "b", *quick, "--resume", code=1).stderr


def test_what_leaves_no_images_is_refused(manifest: Path, tmp_path: Path) -> None:
    text = manifest.read_text()
    manifest.write_text(text.replace(",train", ",test").replace(",val", ",test").replace(",\n", ",test\n"))
    assert "no images to train on: all 7 are of the split test" in run(manifest, tmp_path / "a", *SMALL, code=1).stderr
    manifest.write_text(text.replace(",train", ",val").replace(",\n", ",val\n"))
    assert "all 5 are of the split val and held out" in run(manifest, tmp_path / "a", *SMALL, code=1).stderr
    manifest.write_text(text)
    assert "4 images are too few for batches of 5" in run(manifest, tmp_path / "a", *SMALL, "--batch-size", 5, code=1).stderr


CONTRAST = ["--image-size", "16", "--width", "8", "--multipliers", "1,2", "--device", "cpu", "--batch-size", "2"]


def test_contrast_global_then_local_leaves_checkpoints_and_curves(manifest: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "global.safetensors", tmp_path / "local.safetensors"
    quick = ["--iterations", 2, "--report-every", 1]
    said = run(manifest, first, *CONTRAST, *quick, "--objective", "global-cl")
    assert "note: one image held out has no other to be told from" in said.stderr
    assert re.search(
        r"global.safetensors: \d+ parameters, \d+ bytes, 2 iterations on 4 images of 16 x 16; pictures", said.stdout
    )
    # the sizes are those of the encoder that it starts from
    local = ["--device", "cpu", "--batch-size", 2, "--objective", "global-local-cl", "--start", first]
    assert "4 images of 16 x 16" in run(manifest, second, *local, *quick).stdout
    pictures = tmp_path / "local-pictures"
    assert sorted(path.name for path in pictures.iterdir()) == ["loss.csv", "loss.png"]
    assert (pictures / "loss.csv").read_text().startswith("iteration,training,validation\n0,,")
    assert [read_pretrained(path).objective for path in (first, second)] == ["global-cl", "global-local-cl"]


def test_a_contrasted_checkpoint_extracts_no_features_and_what_it_is_for_is_said(manifest: Path, tmp_path: Path) -> None:
    write_contrasted(tmp_path / "global.safetensors")
    result = CliRunner().invoke(
        extract.main, [str(manifest), str(tmp_path / "store"), "--checkpoint", str(tmp_path / "global.safetensors")]
    )
    assert result.exit_code == 1
    assert "tedm-fit --method global-cl --checkpoint" in result.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "global-cl", "--schedule", "cosine"], "--schedule: of a diffusion model alone"),
        (["--objective", "global-cl", "--samples", 4, "--timesteps-total", 9], "--samples, --timesteps-total: of a diffusion"),
        (["--objective", "global-cl", "--format", "published"], "--format: of a diffusion model alone"),
        (["--objective", "global-cl", "--start", "there"], "global-cl starts from random weights, not from there"),
        (["--objective", "global-cl", "--batch-size", 1], "use a batch size of at least 2"),
        (["--objective", "global-cl", "--accumulate", 2], "cannot be computed in 2 parts"),
        (["--objective", "global-local-cl"], "name it with --start"),
        (["--objective", "global-local-cl", "--start", "there"], "there is no checkpoint there"),
        (["--objective", "global-local-cl", "--as-published"], "47 % of its positive pairs"),
        (["--start", "there"], "--start is of another objective; leave it out, or ask for --objective global-local-cl"),
        (["--as-published"], "--as-published is of another objective; leave it out, or ask for --objective global-cl"),
    ],
)
def test_options_of_another_objective_are_refused_before_images_are_read(
    tmp_path: Path, arguments: list[object], said: str
) -> None:
    result = run(tmp_path / "absent", tmp_path / "a", *arguments, code=1)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_start_of_other_sizes_is_refused_before_images_are_read(tmp_path: Path) -> None:
    write_contrasted(tmp_path / "global")
    asked = ["--objective", "global-local-cl", "--start", tmp_path / "global", "--image-size", 128, "--multipliers", "1,2,4"]
    said = run(tmp_path / "absent", tmp_path / "a", *asked, code=1).stderr
    assert "has multipliers 1,2 and not 1,2,4, image size 16 and not 128; leave these options out" in said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_process_goes_on_to_the_same_file(manifest: Path, tmp_path: Path, number: int, code: int) -> None:
    arguments = [*SMALL, "--samples", "0", "--iterations", "60"]
    run(manifest, tmp_path / "whole.safetensors", *arguments)
    stopped = tmp_path / "stopped.safetensors"
    call = [sys.executable, "-c", "from tedm.cli.pretrain import main; main()", str(manifest), str(stopped), *arguments]
    process = subprocess.Popen([*call, "--state-every", "5"], stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c)
    state = stopped.with_name("stopped.safetensors.training")
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"iterations written to {state}; --resume goes on from it" in said
    assert not stopped.exists()
    run(manifest, stopped, *arguments, "--resume")
    assert stopped.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert not state.exists()


def _hear_ctrl_c() -> None:
    """A shell starts background jobs with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
