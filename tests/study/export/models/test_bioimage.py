"""The description for the BioImage Model Zoo: what its own reader takes, with examples that the ONNX file answers again."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tedm.extract import load_backbone
from tedm.heads import load_head
from tedm.study.export.models.bioimage import DESCRIPTION, description, example_file
from tedm.study.export.models.chain import Chain
from tedm.study.export.models.described import Contents

NAMES = ("image", "noise", "probabilities", "opinions")


def test_the_examples_are_what_the_file_takes_and_gives(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported / "model.onnx"), providers=["CPUExecutionProvider"])
    arrays = {name: np.load(exported / example_file(name)) for name in NAMES}
    answered = session.run(list(NAMES[2:]), {name: arrays[name] for name in NAMES[:2]})
    for name, values in zip(NAMES[2:], answered, strict=True):
        np.testing.assert_allclose(values, arrays[name], atol=1e-6)
        assert np.ptp(values) > 0.05


def test_its_axes_have_the_shapes_of_the_examples(exported):
    about = json.loads((exported / DESCRIPTION).read_text())
    for tensor in (*about["inputs"], *about["outputs"]):
        shape = tuple(len(axis["channel_names"]) if axis["type"] == "channel" else axis["size"] for axis in tensor["axes"])
        assert np.load(exported / tensor["test_tensor"]["source"]).shape == shape
    assert about["license"] == "CC-BY-4.0"
    assert about["weights"]["onnx"]["opset_version"] == 18


READ = """import sys
from pathlib import Path
from bioimageio.spec import InvalidDescr, load_description
read = load_description(Path(sys.argv[1]), perform_io_checks=True)
if isinstance(read, InvalidDescr):
    sys.exit(read.validation_summary.format())
print([str(each.id) for each in (*read.inputs, *read.outputs)])
"""


def test_the_zoos_own_reader_takes_it(exported):
    """In a process of its own: it leaves files open, which is an error here."""
    pytest.importorskip("bioimageio.spec", reason="needs bioimageio.spec")
    done = subprocess.run([sys.executable, "-c", READ, exported / DESCRIPTION], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [str(list(NAMES))], done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "called"), [("a/b:c", "a-b-c"), ("ct", "tedm ct"), ("größe 7", "größe 7"), ("x" * 300, "x" * 128)]
)
def test_a_name_has_what_a_name_may_have(exported, fitted, checkpoint, name, called):
    head = load_head(fitted)
    about = description(head, Contents(name, chain=Chain(head, load_backbone(checkpoint))), exported)
    assert about["name"] == called
    assert "license" not in about
