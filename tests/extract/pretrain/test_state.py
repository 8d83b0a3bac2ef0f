import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone
from tedm.extract.pretrain.curve import LossCurve
from tedm.extract.pretrain.learner import Learner
from tedm.extract.pretrain.state import read_state, write_checkpoint, write_state

Make = Callable[..., Learner]
GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "tedm_cosine.pt"


def published(path: Path) -> dict:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content: dict = torch.load(path, weights_only=True)
    return content


def equal(tensors: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.fixture
def taught(learner: Make) -> Learner:
    """After two iterations the average is neither the first weights nor the last."""
    return learner(steps=2, timesteps_total=1000, multipliers=(1, 2, 4))  # the shape of the golden one


@pytest.mark.parametrize("kind", ["safetensors", "published"])
def test_a_checkpoint_has_both_weights_and_the_average_is_what_is_loaded(taught: Learner, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "ddpm"
    write_checkpoint(taught, path, format=kind)  # type: ignore[arg-type]
    read = load_backbone(path)
    assert (read.step, read.image_size, read.schedule.name) == (2, 16, "cosine")
    assert equal(read.network.state_dict(), taught.average.state_dict())
    if kind == "published":
        last = {name: tensor for name, tensor in published(path)["last_model_state_dict"].items() if name.startswith("model.")}
    else:
        with safetensors.safe_open(path, "pt") as file:
            last = {name.removeprefix("last."): file.get_tensor(name) for name in file.keys() if name.startswith("last.")}  # noqa: SIM118
    assert equal({name.removeprefix("model."): tensor for name, tensor in last.items()}, taught.network.state_dict())
    assert not equal(taught.network.state_dict(), taught.average.state_dict())


def test_the_published_format_has_what_the_published_files_have(taught: Learner, tmp_path: Path) -> None:
    write_checkpoint(taught, tmp_path / "ours.pt", format="published")
    ours, theirs = published(tmp_path / "ours.pt"), published(GOLDEN)
    assert set(theirs) <= set(ours)
    mine, other = ours["model_state_dict"], theirs["model_state_dict"]
    assert {name: tensor.shape for name, tensor in mine.items()} == {name: tensor.shape for name, tensor in other.items()}
    for name in mine:
        if not name.startswith("model."):  # the schedule's, which the published code computed in float32
            torch.testing.assert_close(mine[name], other[name], rtol=2e-3, atol=1e-5)
    told = vars(theirs["config"]).keys() - {"dataset", "experiment", "device", "verbose"}
    assert told <= vars(ours["config"]).keys()
    optimizer = torch.optim.Adam(taught.network.parameters())
    optimizer.load_state_dict(ours["optimizer_state_dict"])


def test_a_state_can_be_used_as_a_checkpoint(taught: Learner, tmp_path: Path) -> None:
    write_state(taught, LossCurve(), tmp_path / "state")
    assert equal(load_backbone(tmp_path / "state").network.state_dict(), taught.average.state_dict())


def test_a_state_of_no_iterations_goes_on(learner: Make, digits: NDArray[np.float32], tmp_path: Path) -> None:
    write_state(learner(), LossCurve(), tmp_path / "state")
    again = learner()
    read_state(again, tmp_path / "state")
    again.step(torch.from_numpy(digits))
    assert equal(again.network.state_dict(), learner(steps=1).network.state_dict())


def test_another_number_of_threads_is_said(learner: Make, tmp_path: Path) -> None:
    write_state(learner(steps=1), LossCurve(), tmp_path / "state")
    assert read_state(learner(), tmp_path / "state")[1] == []
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert read_state(learner(), tmp_path / "state")[1] == [f"threads: the state has {threads}, this run has {threads + 1}"]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("where", "said"),
    [("half", "(?s)no training state"), ("flipped", "not those that were written"), ("nothing", "no training state")],
)
def test_a_damaged_state_is_refused_in_one_line(learner: Make, tmp_path: Path, where: str, said: str) -> None:
    state = tmp_path / "state"
    write_state(learner(steps=1), LossCurve(), state)
    data = state.read_bytes()
    at = len(data) - 1000
    damaged = {"half": data[: len(data) // 2], "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "nothing": b""}
    state.write_bytes(damaged[where])
    with pytest.raises(TedmError, match=said) as refused:
        read_state(learner(), state)
    assert len(str(refused.value).splitlines()) == 1


def test_a_checkpoint_is_no_state(learner: Make, tmp_path: Path) -> None:
    write_checkpoint(learner(steps=1), tmp_path / "ddpm")
    with pytest.raises(TedmError, match="no training state"):
        read_state(learner(), tmp_path / "ddpm")


def test_what_cannot_be_written_leaves_nothing(learner: Make, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(TedmError, match="cannot write .*taken: .*make room or choose another path"):
        write_checkpoint(learner(steps=1), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
