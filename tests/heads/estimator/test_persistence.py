"""Estimators as files that run nothing: what is trusted comes back, and what is forged or named beside it does not."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from skops import io

from tedm.errors import TedmError
from tedm.heads import fit, load_head, method_named, save_head
from tedm.heads.estimator.head import FILE, EstimatorHead
from tedm.heads.estimator.lookup import named_classifier
from tedm.heads.estimator.persistence import read_estimator, require_kept, write_estimator

LDA = {"class": "discriminant_analysis.LinearDiscriminantAnalysis"}
FOREST = ("ensemble.RandomForestClassifier", {"n_estimators": 5})
BOOSTING = ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 3, "min_samples_leaf": 2})


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("what", [os.system, Evil(), SimpleNamespace(a=1)])
def test_a_file_that_names_anything_else_does_not_run(make_store, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    model = LinearDiscriminantAnalysis().fit([[0.0], [1.0], [1.1], [2.0]], [0, 0, 1, 1])
    model.extra = what
    io.dump(model, tmp_path / FILE)
    head = EstimatorHead(LDA["class"])
    with pytest.raises(TedmError, match=r"holds (posix\.system|.*Evil|types\.SimpleNamespace), which a head may not"):
        head.restore(tmp_path, features=1, classes=2)
    assert not hasattr(head, "estimator_")
    assert not (tmp_path / "ran").exists()


def forged(part, **nodes):
    """A forest, boosting or neighbours with one index that points nowhere."""
    x, y = load_iris(return_X_y=True)
    if part == "forest":
        model = named_classifier(*FOREST).fit(x, y)
        tree = model.estimators_[2].tree_
        state = tree.__getstate__()
        for field, (at, value) in nodes.items():
            state["nodes"][field][at] = value
        tree.__setstate__(state)
    else:
        model = named_classifier(*BOOSTING).fit(x, y)
        for field, (at, value) in nodes.items():
            model._predictors[1][0].nodes[field][at] = value
    return model


@pytest.mark.parametrize(
    ("part", "nodes"),
    [
        ("forest", {"left_child": (0, 10**6)}),
        ("forest", {"right_child": (0, 0)}),
        ("forest", {"feature": (0, 4)}),
        ("boosting", {"left": (0, 10**6)}),
        ("boosting", {"feature_idx": (0, -1)}),
    ],
)
def test_a_forged_tree_is_refused(tmp_path, part, nodes):
    write_estimator(forged(part), tmp_path / FILE)
    read_estimator(tmp_path / FILE)
    write_estimator(forged(part, **nodes), tmp_path / FILE)
    with pytest.raises(ValueError, match="points outside itself"):
        read_estimator(tmp_path / FILE)


def test_a_damaged_file_is_said_to_be(make_store, tmp_path):
    store = make_store()
    method = method_named("tedm", timesteps=[1], head="sklearn:" + LDA["class"])
    save_head(fit(store, method), tmp_path / "head")
    whole = (tmp_path / "head" / FILE).read_bytes()
    (tmp_path / "head" / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")
    model = LinearDiscriminantAnalysis().fit([[0.0], [1.0], [1.1], [2.0]], [0, 0, 1, 1])
    io.dump(model, tmp_path / "head" / FILE)
    with pytest.raises(TedmError, match="is of other features or classes"):
        load_head(tmp_path / "head")


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_neighbours_in_a_tree_come_back_and_predict_the_same(tmp_path, algorithm):
    x, y = load_iris(return_X_y=True)
    model = named_classifier("neighbors.KNeighborsClassifier", {"n_neighbors": 3, "algorithm": algorithm}).fit(x, y)
    write_estimator(model, tmp_path / FILE)
    assert read_estimator(tmp_path / FILE).predict_proba(x).tobytes() == model.predict_proba(x).tobytes()


def test_what_could_not_be_read_again_is_refused_before_its_fit():
    require_kept(named_classifier(*FOREST))
    with pytest.raises(TedmError, match=r"LinearDiscriminantAnalysis holds posix\.system, which a head may not"):
        require_kept(LinearDiscriminantAnalysis(solver=os.system))
