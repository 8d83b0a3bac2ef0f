"""A fitted part is written beside its description, and comes back as the head that it was."""

from __future__ import annotations

import json

import pytest

from tedm.heads.base.registry import make_head
from tedm.heads.committee.folder import DESCRIPTION, read_part, save_part
from tedm.heads.committee.parts import Part
from tedm.heads.data.dataset import TrainingData

PART = Part("side", "mlp", (1, 50), "concatenate", 2)


@pytest.fixture
def fitted(make_store):
    """A store, and a head of two MLPs on two of its timesteps side by side."""
    store = make_store()
    data = TrainingData(store, store.labels.names, rows="concatenate", timesteps=PART.timesteps)
    head = make_head("mlp", params={"hidden": [4], "iterations": 3}, from_method={"members": 2, "vote": "soft"})
    return store, head.fit_blocks(data)


def test_a_part_comes_back_to_the_bits(fitted, tmp_path):
    store, head = fitted
    save_part(head, tmp_path / "part-0")
    again = read_part(PART, tmp_path / "part-0", channels=5, classes=2, device="cpu")
    block = store.block("one").at(PART.timesteps)
    assert again.opinions(block, "concatenate").tobytes() == head.opinions(block, "concatenate").tobytes()
    assert (again.n_features_in_, again.classes_.tolist()) == (10, [0, 1])


def test_a_part_of_other_channels_or_classes_is_not_believed(fitted, tmp_path):
    save_part(fitted[1], tmp_path / "part-0")
    for told, message in (
        ({"channels": 4, "classes": 2}, "the rows of the part 'side' have 10 features, not those of its timesteps"),
        ({"channels": 5, "classes": 3}, "weights.safetensors"),
    ):
        with pytest.raises(ValueError, match=message):
            read_part(PART, tmp_path / "part-0", **told, device="cpu")


def test_a_description_that_says_something_else_is_not_believed(fitted, tmp_path):
    save_part(fitted[1], tmp_path / "part-0")
    path = tmp_path / "part-0" / DESCRIPTION
    about = json.loads(path.read_text())
    for change, message in (
        ({"features": "10"}, "part-0/part.json: Expected `int`, got `str`"),
        ({"seed": 3}, "part-0/part.json should have estimator, parameters, features"),
        (
            {"estimator": "CommitteeHead", "parameters": {}},
            "the head in part-0 is a CommitteeHead, which the part 'side' is not",
        ),
        ({"parameters": {**about["parameters"], "members": 3}}, "the part 'side' has members 2, its head 3"),
    ):
        path.write_text(json.dumps({**about, **change}))
        with pytest.raises(ValueError, match=message):
            read_part(PART, tmp_path / "part-0", channels=5, classes=2, device="cpu")
