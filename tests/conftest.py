"""Small real parts that many tests share: images with masks, an untrained backbone, a store."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.register_assert_rewrite("backbone_suite", "head_suite")

HOSTILE = "<script>alert('x')</script> & \"q\""
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> Iterator[None]:
    """A shell starts background jobs with Ctrl-C ignored; the tests that send it need it as it is on a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared beside the repository")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def write_dataset(folder: Path, *, train: int = 4, test: int = 3, classes: tuple[int, ...] = (0, 255)) -> Path:
    """Images with a bright blob each, of sizes that are no squares, and the blobs' masks; the path of their manifest."""
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = []
    for number in range(train + test):
        height, width = 20 + number, 26 - number
        y, x = np.mgrid[:height, :width]
        mask = np.zeros((height, width), np.uint8)
        for index, value in enumerate(classes[1:]):
            centre = height * (0.3 + 0.3 * index) + rng.uniform(-2, 2), width * 0.4 + rng.uniform(-3, 3)
            mask[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 20 + 6 * index] = value
        image = 60 + 1.5 * y + 90.0 * (mask > 0) + 25.0 * (mask == classes[-1]) + rng.normal(0, 12, mask.shape)
        name = f"scan {number}"
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        split = "train" if number < train else "test"
        rows.append([f"images/{name}.png", f"masks/{name}.png", split, f"p{number}", "here" if number % 2 else "there"])
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["image", "mask", "split", "patient", "domain"], *rows])
    return manifest


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of seven small images, four of them to train on."""
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def write_images() -> Callable[..., Path]:
    """Writes such images to a folder, as many as are wanted."""
    return write_dataset


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained two-level UNet for images of 16 x 16."""
    from tedm.extract.backbones import random_backbone, save_backbone

    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_backbone(random_backbone(), path)
    return path


def invoke(main: object, *arguments: object) -> str:
    """Run a command that succeeds; what it printed."""
    from click.testing import CliRunner

    result = CliRunner().invoke(main, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="session")
def evaluated(dataset: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folder `evaluation` of two methods at two training sizes, as tedm-evaluate writes it."""
    from tedm.cli import evaluate, extract, fit

    folder = tmp_path_factory.mktemp("evaluated")
    quick = ["--precision", "float32", "--threads", 1, "--device", "cpu", "--layout", "native"]
    invoke(extract.main, dataset, folder / "store", "--checkpoint", checkpoint, "--timesteps", "1,50", *quick)
    heads = []
    for method in ("timestep:1", "timestep:50"):
        for n in (1, 4):
            heads.append(folder / f"{method.replace(':', '')}-{n}")
            invoke(fit.main, folder / "store", heads[-1], "--method", method, "--images", n, "--iterations", 20)
    invoke(evaluate.main, folder / "store", *heads, "--folder", folder / "evaluation", "--records", folder / "records.csv")
    return folder


@pytest.fixture(scope="session")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe's folder whose every text is hostile."""
    from tedm.study.report.result import ResultFigure, ResultTable, write_result

    folder, picture = tmp_path_factory.mktemp("probed") / "probe", io.BytesIO()
    Image.new("RGB", (40, 20), "#0072B2").save(picture, format="png")
    rows = "".join(f'"<b>{number}</b>",{number / 7!r},{number}\n' for number in range(300))
    write_result(
        folder,
        kind="probe",
        title=f"A probe {HOSTILE}",
        about=[("store", HOSTILE), ("a long path", "x" * 300)],
        words=[HOSTILE],
        figures=[ResultFigure("dice.png", "dice.csv", f"Dice {HOSTILE}", f'alt" onerror="alert(1) {HOSTILE}')],
        tables=[ResultTable("fits.csv", "every fit")],
        content={
            "dice.png": picture.getvalue(),
            "dice.csv": "t,dice\n1,0.123456789\n50,nan\n",
            "fits.csv": f"who,dice,n\n{rows}",
        },
    )
    return folder


@pytest.fixture(scope="session")
def extracted(dataset: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the seven images at two timesteps."""
    from tedm.cli import extract

    path = tmp_path_factory.mktemp("extracted") / "store"
    quick = ["--timesteps", "1,50", "--layout", "native", "--precision", "float32", "--threads", 1, "--device", "cpu"]
    invoke(extract.main, dataset, path, "--checkpoint", checkpoint, *quick)
    return path


@pytest.fixture(scope="session")
def fitted(extracted: Path) -> Path:
    """A head of TEDM from the four training images of that store."""
    from tedm.cli import fit

    path = extracted.parent / "head"
    invoke(fit.main, extracted, path, "--method", "tedm", "--timesteps", "1,50", "--iterations", 40, "--device", "cpu")
    return path


@pytest.fixture(scope="session")
def volume_study(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five small volumes of four patients, `manifest.csv`, `store` and the heads `tedm` and `probe`."""
    from scans import make_study

    return make_study(tmp_path_factory.mktemp("volumes"), checkpoint, invoke)


@pytest.fixture
def mounted(tmp_path) -> Iterator[Callable[..., Path]]:
    """A file system in memory of a given size, at a path with a space."""
    path = tmp_path / "a disk"
    path.mkdir()

    def mount(*options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(path)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting is not allowed here")
        return path

    try:
        yield mount
    finally:
        subprocess.run(["umount", str(path)], capture_output=True, check=False)
