"""tedm-run: from images to masks in one go, by the command line; killed once and repeated."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from processes import Forked
from trees import tree

from tedm.cli.run import main

QUICK = ["--method", "timestep:1", "--device", "cpu", "--threads", "1"]


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def test_it_says_each_step_and_where_to_look_and_goes_on_after_a_kill(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed = Forked("tedm.cli.run", [dataset, out, "--checkpoint", checkpoint, *QUICK])
    deadline = time.monotonic() + 60
    while not (out / "features" / "zarr.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.kill()
    killed.communicate(timeout=60)
    result = run(dataset, out, "--checkpoint", checkpoint, *QUICK)
    lines = result.stdout.splitlines()
    assert lines[-1] == f"{out}: open {out}/report.html in a browser; 3 masks in {out}/masks, the head in {out}/head"
    assert "timestep:1" in result.stdout
    for step in ("features: ", "head: ", "scores: ", "masks: ", "report: "):
        assert sum(line.startswith(step) for line in result.stderr.splitlines()) == 1
    run(dataset, tmp_path / "whole", "--checkpoint", checkpoint, *QUICK)
    for part in ("features", "head", "masks"):
        assert tree(out / part) == tree(tmp_path / "whole" / part)


def test_a_method_that_trains_the_diffusion_model_further_takes_it_from_the_checkpoint(
    dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    result = run(dataset, tmp_path / "out", "--checkpoint", checkpoint, "--method", "ddpm-finetune", "--device", "cpu")
    assert "head: ddpm-finetune (unet, looks at images) from 4 images" in result.stderr
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["IMAGES", "OUT"], 2, "name the diffusion model with --checkpoint FILE or --backbone MODULE:FUNCTION"),
        (["IMAGES", "OUT", "--checkpoint", "absent.pt"], 1, "absent.pt"),
        (["IMAGES", "IMAGES", "--checkpoint", "DDPM"], 1, "is a file; name a folder"),
        (["IMAGES", "OUT", "--checkpoint", "DDPM", "--method", "tedn"], 1, "tedn"),
        (["IMAGES", "OUT", "--checkpoint", "DDPM", "--train", "99"], 1, "--train 99: of the patients in"),
        (["IMAGES", "OUT", "--checkpoint", "DDPM", "--method", "global-cl"], 1, "this method starts from global-cl"),
        (["IMAGES", "OUT", "--backbone", "OWN", "--method", "jury-finetune"], 2, "name its file with --checkpoint in place of"),
    ],
)
def test_bad_input_is_refused_before_the_work(
    dataset: Path, checkpoint: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    places = {"IMAGES": dataset, "OUT": tmp_path / "out", "DDPM": checkpoint}
    result = run(*(places.get(each, each) for each in arguments), code=code)
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
