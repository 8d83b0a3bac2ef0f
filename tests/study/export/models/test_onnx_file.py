"""An ONNX file computes what the network does, says nothing of where it was written, and is one file."""

from __future__ import annotations

import sys
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.heads import RULES, Vote
from tedm.study.export.models.ballots import Ballot
from tedm.study.export.models.onnx_file import require_packages, write_onnx

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
pytest.importorskip("onnxscript", reason="needs the extra `onnx`")


class Small(nn.Module):
    """A network with the inputs and outputs of a chain: votes on opinions that come of an image."""

    inputs: ClassVar = {"image": (1, 3, 4, 4), "noise": (3, 1, 3, 4, 4)}

    def __init__(self, *votes: Vote) -> None:
        super().__init__()
        self.ballots = nn.ModuleList([Ballot(vote, 3) for vote in votes])
        self.weight = nn.Parameter(
            torch.from_numpy(np.random.default_rng(5).standard_normal((300, 3, 1, 1)).astype(np.float32))
        )

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        opinions = nn.functional.conv2d(image + noise[:, 0], self.weight).unflatten(1, (3, 100)).mean(2).softmax(1)
        return torch.cat([ballot(opinions) for ballot in self.ballots]), opinions


def test_every_rule_of_voting_survives(tmp_path):
    """In one file: writing one takes seconds."""
    weights = {"learned": (0.2, 0.3, 0.5)}
    votes = [Vote(rule, (1,), weights.get(rule), 0.7 if rule == "geometric" else None) for rule in RULES]
    small = Small(*votes)
    write_onnx(small, tmp_path / "votes.onnx", about={"checkpoint_sha256": "ab"})
    random = np.random.default_rng(0)
    given = {name: random.standard_normal(shape).astype(np.float32) for name, shape in Small.inputs.items()}
    session = onnxruntime.InferenceSession(tmp_path / "votes.onnx")
    probabilities, opinions = session.run(["probabilities", "opinions"], given)
    with torch.inference_mode():
        merged, thought = small(*map(torch.from_numpy, given.values()))
    np.testing.assert_allclose(opinions, thought, atol=1e-6)
    np.testing.assert_allclose(probabilities, merged, atol=1e-5)
    voters = np.moveaxis(opinions, 1, -1).reshape(3, -1, 3)
    for vote, answered in zip(votes, np.moveaxis(probabilities, 1, -1).reshape(len(votes), -1, 3), strict=True):
        np.testing.assert_allclose(answered, vote.merge(voters), atol=1e-5)


@pytest.mark.slow
def test_weights_lie_in_a_second_file_only_where_one_cannot_hold_them(tmp_path):
    small = Small(Vote("soft", (1,)))
    given = {name: np.full(shape, 0.3, np.float32) for name, shape in Small.inputs.items()}
    answers = []
    for name, largest, files in (("one", 2**20, 1), ("two", 100, 2)):
        (tmp_path / name).mkdir()
        write_onnx(small, tmp_path / name / "m.onnx", about={}, largest=largest)
        assert len(list((tmp_path / name).iterdir())) == files
        answers.append(onnxruntime.InferenceSession(tmp_path / name / "m.onnx").run(["probabilities"], given)[0])
    np.testing.assert_array_equal(*answers)


def test_a_file_says_what_it_is_and_not_where_it_was_written(exported):
    content = (exported / "model.onnx").read_bytes()
    for trace in (b"site-packages", b"src/tedm", b".py", str(exported.parent).encode()):
        assert trace not in content, trace
    model = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(model)
    assert (model.producer_name, model.opset_import[0].version) == ("tedm", 18)
    assert {each.key for each in model.metadata_props} >= {"checkpoint_sha256", "tedm_version"}


def test_a_network_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    class Odd(Small):
        def forward(self, image, noise):
            return (image * 2 if float(image.sum()) > 0 else image), noise

    with pytest.raises(TedmError, match=r"torch .* cannot write this backbone as ONNX: .*\nLeave out --onnx"):
        write_onnx(Odd(Vote("soft", (1,))), tmp_path / "odd.onnx", about={})
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named_before_the_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(TedmError, match=r"^--onnx needs a package that is not installed .*: pip install 'tedm\[onnx\]'$"):
        require_packages()
