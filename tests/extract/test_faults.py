"""What may happen to an extraction, and what is left of it: the right bytes, and nothing else."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from processes import Forked

import tedm
from tedm.cli import extract as command
from tedm.extract.backbones import load_backbone, random_backbone, save_backbone
from tedm.extract.images import read_manifest
from tedm.extract.registration import whole_images
from tedm.extract.run import extract
from tedm.store import FeatureStore

LAYOUTS = ["native", "upsampled"]
ONE_QUICKLY = ["native", pytest.param("upsampled", marks=pytest.mark.slow)]
STEPS = ["--timesteps", "1,50,800"]


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def arguments(images, store, checkpoint, *options):
    settings = ["--checkpoint", checkpoint, "--device", "cpu", "--precision", "float32", "--threads", "1"]
    return [*map(str, [images, store, *settings, *options])]


def run(*arguments_, code=0):
    """tedm-extract in this process; what it says."""
    result = CliRunner().invoke(command.main, arguments(*arguments_))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def started(*arguments_):
    """tedm-extract as a process of its own."""
    return Forked("tedm.cli.extract", arguments(*arguments_))


def finished(process, code=0):
    out, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return out + said


def wait_for(pattern, folder, process, count=1):
    deadline = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < count and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Forty small images, and a backbone that takes a moment for each."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(1)
    (folder / "images").mkdir()
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (20, 24), np.uint8)).save(folder / "images" / f"{number:02d}.png")
    save_backbone(random_backbone(image_size=32, width=16, multipliers=(1, 2)), folder / "unet.safetensors")
    return folder


def killed_and_resumed(many, folder, layout, kills, seed):
    """Kill -9 at random moments of an extraction, a resume after each; the trees of all stores that came of it.

    A kill that comes when all is done does not count: the next store is begun.
    """
    chance, hits, stores = random.Random(seed), 0, [folder / "0"]
    options = ["--layout", layout, *STEPS]
    while hits < kills:
        store = stores[-1]
        process = started(many / "images", store, many / "unet.safetensors", *options)
        deadline = time.monotonic() + 60
        while not store.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.6))
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            hits += 1
        else:
            assert process.returncode == 0
            stores.append(folder / str(len(stores)))
    run(many / "images", stores[-1], many / "unet.safetensors", *options)
    return [tree(store) for store in stores]


@pytest.fixture(scope="module")
def whole(many):
    """The trees of uninterrupted runs."""
    for layout in LAYOUTS:
        run(many / "images", many / layout, many / "unet.safetensors", "--layout", layout, *STEPS)
    return {layout: tree(many / layout) for layout in LAYOUTS}


@pytest.mark.parametrize("layout", ONE_QUICKLY)
def test_kill_9_and_a_resume_give_the_bytes_of_an_uninterrupted_run(many, whole, tmp_path, layout):
    assert killed_and_resumed(many, tmp_path, layout, kills=1, seed=4) == [whole[layout]]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_kill_9_at_20_random_moments(many, whole, tmp_path, layout):
    for found in killed_and_resumed(many, tmp_path, layout, kills=20, seed=7):
        assert found == whole[layout]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_seconds_and_leaves_no_stray_file(many, tmp_path, sent, code):
    store = tmp_path / "store"
    timesteps = ",".join(map(str, range(20)))
    process = started(many / "images", store, many / "unet.safetensors", "--timesteps", timesteps)
    wait_for("features/c.*", store, process)
    process.send_signal(sent)
    since = time.monotonic()
    said = finished(process, code)
    assert time.monotonic() - since < 10
    assert "run the same command again" in said
    assert not list(store.rglob("*.partial"))
    assert 0 < len(FeatureStore.open(store).missing()) < 40


@pytest.mark.parametrize("layout", ONE_QUICKLY)
def test_two_shards_at_once_give_the_bytes_of_one_run(many, whole, tmp_path, layout):
    options = ["--layout", layout, *STEPS]
    store = tmp_path / "shards"
    first = started(many / "images", store, many / "unet.safetensors", *options, "--shard", "0/2")
    second = started(many / "images", store, many / "unet.safetensors", *options, "--shard", "1/2")
    assert "20 images extracted" in finished(first)
    assert "20 images extracted" in finished(second)
    assert tree(store) == whole[layout]


def test_two_processes_on_the_same_images_end_in_the_right_bytes(many, whole, tmp_path):
    options = ["--layout", "native", *STEPS]
    store = tmp_path / "both"
    first = started(many / "images", store, many / "unet.safetensors", *options)
    wait_for("image/c.0.*", store, first)
    run(many / "images", store, many / "unet.safetensors", *options, "--shard", "0/1")
    finished(first)
    assert tree(store) == whole["native"]


def test_shards_are_disjoint_and_take_everything(dataset, checkpoint, tmp_path):
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    settings = {"timesteps": (1,), "device": "cpu", "precision": "float32", "threads": 1}
    done = [extract(manifest, tmp_path / "s", backbone, **settings, shard=(part, 3)).computed for part in range(3)]
    assert done == [3, 2, 2]
    assert not FeatureStore.open(tmp_path / "s").missing()
    assert extract(manifest, tmp_path / "s", backbone, **settings).reused == 7


def test_a_shard_adds_only_what_is_new(dataset, checkpoint, tmp_path):
    backbone, settings = load_backbone(checkpoint), {"timesteps": (1,), "device": "cpu", "precision": "float32", "threads": 1}
    rows = list(csv.reader(dataset.read_text().splitlines()))
    some = dataset.parent / "first four.csv"
    with some.open("w", newline="") as file:
        csv.writer(file).writerows(rows[:5])
    extract(read_manifest(some), tmp_path / "s", backbone, **settings)
    counts = [extract(read_manifest(dataset), tmp_path / "s", backbone, **settings, shard=(part, 2)) for part in (0, 1)]
    assert [(done.computed, done.reused) for done in counts] == [(2, 2), (1, 2)]


def test_nothing_of_the_surroundings_is_in_the_bytes(many, whole, tmp_path):
    """Another second of the clock, another time zone, locale, working directory, and a path with spaces and other letters."""
    store = tmp_path / "ein Ort für Übungen ß 日本" / "Speicher 1"
    store.parent.mkdir()
    options = ["--layout", "native", *STEPS]
    relative = store.relative_to(tmp_path)
    surroundings = {
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "Asia/Kathmandu",
        "PYTHONPATH": str(Path(tedm.__file__).parents[1]),
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from tedm.cli.extract import main; main()"),
            *arguments(many / "images", relative, many / "unet.safetensors", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **surroundings},
    )
    finished(process)
    assert tree(store) == whole["native"]


def test_a_corrupt_image_among_many_is_reported_and_the_rest_is_finished(many, tmp_path):
    shutil.copytree(many / "images", tmp_path / "images")
    broken = tmp_path / "images" / "17.png"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 255  # header and end stay right
    broken.write_bytes(content)
    said = run(tmp_path / "images", tmp_path / "s", many / "unet.safetensors", "--timesteps", "1", code=1)
    assert "1 of 40 images could not be read; all others are in" in said
    assert "17.png" in said
    assert FeatureStore.open(tmp_path / "s").missing() == ["17"]
    shutil.copy(many / "images" / "17.png", broken)
    said = run(tmp_path / "images", tmp_path / "s", many / "unet.safetensors", "--timesteps", "1")
    assert "1 image extracted, 39 were there" in said


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no permission to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("layout", ONE_QUICKLY)
def test_a_full_disk_is_said_and_nothing_valid_is_lost(many, whole, small_disk, tmp_path, layout):
    options = ["--layout", layout, *STEPS]
    store = small_disk / "store"
    said = run(many / "images", store, many / "unet.safetensors", *options, code=1)
    assert "no space left on the device; free some and repeat" in said
    missing = FeatureStore.open(store).missing()
    assert 0 < len(missing) < 40
    moved = tmp_path / "moved"
    shutil.copytree(store, moved)
    run(many / "images", moved, many / "unet.safetensors", *options)
    assert tree(moved) == whole[layout]


def test_a_read_only_file_system_is_said(many, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = run(many / "images", small_disk / "store", many / "unet.safetensors", "--timesteps", "1", code=1)
    assert "Read-only file system" in said


def test_a_store_of_another_revision_of_the_code_is_refused(dataset, checkpoint, tmp_path, monkeypatch):
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    settings = {"timesteps": (1,), "device": "cpu", "precision": "float32"}
    monkeypatch.setattr("tedm.extract.arithmetic.REVISION", 0)
    extract(manifest, tmp_path / "s", backbone, **settings, shard=(0, 2))
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"(?s)other bits.*revision of tedm's network code.*has 0.*--allow-other-arithmetic"):
        extract(manifest, tmp_path / "s", backbone, **settings)


def test_another_number_of_threads_may_continue(dataset, checkpoint, tmp_path):
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    settings = {"timesteps": (1, 50), "device": "cpu", "precision": "float32", "batch_size": 4}
    extract(manifest, tmp_path / "s", backbone, **settings, threads=1, shard=(0, 2))
    extract(manifest, tmp_path / "s", backbone, **settings, threads=3)
    extract(manifest, tmp_path / "one", backbone, **settings, threads=1)
    assert tree(tmp_path / "s") == tree(tmp_path / "one")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_repair_computes_anew_what_is_damaged(dataset, checkpoint, tmp_path, layout):
    manifest, backbone, store = read_manifest(dataset), load_backbone(checkpoint), tmp_path / "s"
    settings = {"timesteps": (1,), "device": "cpu", "precision": "float32", "layout": layout}
    extract(manifest, store, backbone, **settings)
    before = tree(store)
    array = "features" if layout == "upsampled" else "level0"
    [flipped] = store.glob(f"{array}/c.2.*")
    flipped.write_bytes(flipped.read_bytes()[:-40] + bytes(40))
    [short] = store.glob(f"{array}/c.3.*")
    short.write_bytes(short.read_bytes()[:-7])
    [gone] = store.glob("image/c.4.*")
    gone.unlink()
    assert extract(manifest, store, backbone, **settings, repair=True).computed == 3
    assert tree(store) == before


def write_tiny_images(folder, count):
    folder.mkdir()
    rng = np.random.default_rng(2)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(folder / f"{number:05d}.png", compress_level=0)


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_resume_takes_seconds_and_opens_no_image_that_is_there(tmp_path, count):
    write_tiny_images(tmp_path / "images", count)
    save_backbone(random_backbone(image_size=8, multipliers=(1,)), tmp_path / "unet.safetensors")
    options = ["--timesteps", "1", "--layout", "native"]
    run(tmp_path / "images", tmp_path / "s", tmp_path / "unet.safetensors", *options)
    names = FeatureStore.open(tmp_path / "s").labels.names
    for name in names[: count - 3]:
        file = tmp_path / "images" / f"{name}.png"
        before = file.stat()
        file.write_bytes(b"whoever opens this fails".ljust(before.st_size))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    for name in names[count - 3 :]:
        for file in (tmp_path / "s").glob(f"level0/c.{int(name)}.*"):
            file.unlink()
    since = time.monotonic()
    said = run(tmp_path / "images", tmp_path / "s", tmp_path / "unet.safetensors", *options)
    assert f"3 images extracted, {count - 3} were there" in said
    assert time.monotonic() - since < 60  # with the start of Python and torch; it is measured in docs/reliability.md
    (tmp_path / "images" / f"{count}.png").write_bytes(b"a new one is opened")
    said = run(tmp_path / "images", tmp_path / "s", tmp_path / "unet.safetensors", *options, code=1)
    assert f"{count}.png" in said


def test_what_a_store_knows_need_not_be_read(dataset, checkpoint, tmp_path):
    manifest, backbone = read_manifest(dataset), load_backbone(checkpoint)
    assert whole_images(tmp_path / "s") is None
    extract(manifest, tmp_path / "s", backbone, timesteps=(1,), device="cpu", shard=(0, 2))
    known = whole_images(tmp_path / "s")
    assert known.names == manifest_names(manifest)[::2]
    again = read_manifest(dataset, known=known)
    assert (again.entries, again.classes) == (manifest.entries, manifest.classes)
    assert [header is None for header in again.headers] == [True, False] * 3 + [True]


def manifest_names(manifest):
    return tuple(entry.name for entry in manifest.entries)
