"""The commands from images to a table, and what they say when something is wrong."""

from __future__ import annotations

from click.testing import CliRunner

from tedm.cli import evaluate, extract, fit, inspect, label, predict, pretrain

COMMANDS = {
    "evaluate": evaluate.main,
    "extract": extract.main,
    "fit": fit.main,
    "inspect": inspect.main,
    "label": label.main,
    "predict": predict.main,
    "pretrain": pretrain.main,
}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_a_backbone_is_pretrained_and_used(dataset, tmp_path):
    small = ["--image-size", 16, "--width", 8, "--multipliers", "1,2", "--device", "cpu"]
    run("pretrain", dataset, tmp_path / "own.safetensors", *small, "--iterations", 3)
    assert "training iterations  3" in run("inspect", tmp_path / "own.safetensors").output
    run("extract", dataset, tmp_path / "store", "--checkpoint", tmp_path / "own.safetensors", "--timesteps", "1", *QUICK)
    assert (
        "is there already" in run("pretrain", dataset, tmp_path / "own.safetensors", *small, "--iterations", 3, code=1).output
    )


def test_what_cannot_be_used_is_refused_with_one_message(extracted, fitted, dataset, checkpoint, bad, tmp_path):
    out, images = tmp_path / "out", ["--checkpoint", checkpoint]
    (tmp_path / "noise.pt").write_bytes(bytes(range(256)) * 9)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("precious")
    refusals = [
        (["extract", dataset, out, "--checkpoint", tmp_path / "noise.pt"], "noise.pt"),
        (["extract", dataset, out, *images, "--timesteps", "1,1000"], "1000"),
        (["extract", dataset, full, *images], "is not empty"),
        (["extract", dataset, extracted, *images, "--timesteps", "1,50", "--noise-seed", "7"], "noise seed"),
        (["extract", tmp_path / "nowhere", out, *images], "nowhere"),
        (["fit", extracted, full], "is not empty"),
        (["fit", extracted, out, "--timesteps", "1,200"], "not there: 200"),
        (["fit", extracted, out, "--method", "vnet"], "no method"),
        (["fit", extracted, out, "--timesteps", "1,50", "--images", 5], "only 4"),
        (["fit", tmp_path / "nowhere", out], "does not exist"),
        (["fit", dataset.parent, out], "is no feature store"),
        (["predict", fitted, extracted, full], "is not empty"),
        (["predict", fitted, dataset, out], "--checkpoint FILE"),
        (["predict", fitted, extracted, out, "--timesteps", "800"], "800 not in"),
        (["predict", extracted, extracted, out], "is no head"),
        (["evaluate", extracted, fitted, "--split", "val"], "no labelled image of split 'val'"),
        (["evaluate", extracted, fitted, "--split", "train"], "would mean nothing"),
        (["evaluate", extracted, fitted, fitted], "named twice"),
        (["inspect", full], "neither a feature store nor a head"),
        (["label", extracted, bad, "--classes", "0,1"], "255"),
    ]
    for arguments, said in refusals:
        result = run(*arguments, code=1)
        assert said in result.stderr, (arguments, result.output)
        assert result.stderr.count("tedm: ") == 1
    assert (full / "thesis.tex").read_text() == "precious"
    assert list(full.iterdir()) == [full / "thesis.tex"]
    assert not out.exists()
    run("evaluate", extracted, fitted)  # the store is still whole


def test_wrong_usage_is_code_2(extracted, tmp_path):
    run("extract", extracted, code=2)
    run("fit", extracted, tmp_path / "h", "--rows", "sideways", code=2)
    run("fit", extracted, tmp_path / "h", "--timesteps", "1,x", code=2)
    run("fit", extracted, tmp_path / "h", "--timesteps", "1,1", code=2)
    run("evaluate", extracted, tmp_path / "h", "--out", tmp_path / "table.doc", code=2)
    run("extract", extracted, tmp_path / "s", "--checkpoint", "c", "--input-range=1,0", code=2)
