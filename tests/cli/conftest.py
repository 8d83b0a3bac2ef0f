"""A small evaluation of real heads, and a probe's folder with names that try to break out of a page."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.results import ResultFigure, ResultTable, write_result

HOSTILE = "<script>alert('x')</script> & \"q\""


def invoke(main: object, *arguments: object) -> str:
    """Run a command that succeeds; what it printed."""
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
