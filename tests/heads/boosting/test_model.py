"""Trees that would lead XGBoost outside their arrays are refused before XGBoost sees them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import xgboost

from tedm.heads.boosting.model import read_trees
from tedm.heads.boosting.ubjson import read_ubjson

FEATURES, CLASSES = 4, 5


def sound(classes: int = 3):
    rng = np.random.default_rng(1)
    rows = xgboost.DMatrix(rng.normal(size=(90, FEATURES)), label=np.arange(90) % classes)
    several = {"objective": "multi:softprob", "num_class": classes}
    booster = xgboost.train(several if classes > 2 else {"objective": "binary:logistic"}, rows, 2)
    booster.set_attr(classes=",".join(map(str, range(classes))))
    return booster


def text(value: str) -> bytes:
    return b"L" + len(value.encode()).to_bytes(8, "big") + value.encode()


def ubjson(value) -> bytes:
    match value:
        case dict():
            return b"{" + b"".join(text(name) + ubjson(inner) for name, inner in value.items()) + b"}"
        case str():
            return b"S" + text(value)
        case np.ndarray():
            marker = {"i1": b"i", "u1": b"U", "i4": b"l", "i8": b"L", "f4": b"d"}[value.dtype.str[1:]]
            big = value.astype(value.dtype.newbyteorder(">")).tobytes()
            return b"[$" + marker + b"#L" + len(value).to_bytes(8, "big") + big
        case list():
            return b"[#L" + len(value).to_bytes(8, "big") + b"".join(map(ubjson, value))
        case int():
            return b"L" + value.to_bytes(8, "big", signed=True)
        case float():
            return b"d" + struct.pack(">f", value)
    raise TypeError(value)


@pytest.mark.parametrize("classes", [2, 3])
def test_sound_trees_predict_as_they_did(tmp_path, rng, classes):
    booster, rows = sound(classes), rng.normal(size=(50, FEATURES)).astype(np.float32)
    for path in (tmp_path / "a.ubj", tmp_path / "b.ubj"):
        booster.save_model(path)
    (tmp_path / "b.ubj").write_bytes(ubjson(read_ubjson((tmp_path / "a.ubj").read_bytes())))
    for path in (tmp_path / "a.ubj", tmp_path / "b.ubj"):
        read = read_trees(path, features=FEATURES, classes=CLASSES)
        assert read.booster.inplace_predict(rows).tobytes() == booster.inplace_predict(rows).tobytes()
        assert read.present.tolist() == list(range(classes))


def changed(*way: object, value: object):
    def change(model):
        *holders, last = way
        place = model["learner"]
        for key in holders:
            place = place[key]
        place[last] = value

    return change


MODEL = ("gradient_booster", "model")
TREE = (*MODEL, "trees", 1)
FORGED = {
    "a child outside": changed(*TREE, "left_children", 0, value=10**6),
    "a child that is negative": changed(*TREE, "right_children", 0, value=-7),
    "a node that is its own child": changed(*TREE, "left_children", 0, value=0),
    "two parents of one node": changed(*TREE, "right_children", 0, value=1),
    "a leaf on one side only": changed(*TREE, "left_children", 0, value=-1),
    "another parent": changed(*TREE, "parents", 2, value=5),
    "a root with a parent": changed(*TREE, "parents", 0, value=1),
    "a feature outside": changed(*TREE, "split_indices", 0, value=FEATURES),
    "a feature that is negative": changed(*TREE, "split_indices", 0, value=-1),
    "a split by category": changed(*TREE, "split_type", 0, value=1),
    "categories": changed(*TREE, "categories", value=np.arange(3, dtype=np.int32)),
    "a leaf that is no number": changed(*TREE, "split_conditions", 0, value=np.nan),
    "weights that are infinite": changed(*TREE, "base_weights", 0, value=np.inf),
    "too few weights": changed(*TREE, "base_weights", value=np.ones(1, np.float32)),
    "indices that are fractions": changed(*TREE, "split_indices", value=np.zeros(1, np.float32)),
    "more nodes than there are": changed(*TREE, "tree_param", "num_nodes", value="1000000"),
    "deleted nodes": changed(*TREE, "tree_param", "num_deleted", value="1"),
    "leaves of several values": changed(*TREE, "tree_param", "size_leaf_vector", value="3"),
    "trees of other rows": changed(*TREE, "tree_param", "num_feature", value="99"),
    "a tree of another number": changed(*TREE, "id", value=0),
    "a number of trees that is another": changed(*MODEL, "gbtree_model_param", "num_trees", value="99"),
    "trees side by side": changed(*MODEL, "gbtree_model_param", "num_parallel_tree", value="2"),
    "a tree of no class": changed(*MODEL, "tree_info", 0, value=7),
    "rounds outside": changed(*MODEL, "iteration_indptr", -1, value=99),
    "no trees": changed(*MODEL, "trees", value=[]),
    "another booster": changed("gradient_booster", "name", value="dart"),
    "another objective": changed("objective", "name", value="rank:ndcg"),
    "an objective of other classes": changed("objective", "softmax_multiclass_param", "num_class", value="4"),
    "more classes": changed("learner_model_param", "num_class", value="1000000000"),
    "other rows": changed("learner_model_param", "num_feature", value="3"),
    "several targets": changed("learner_model_param", "num_target", value="2"),
    "a base score that is none": changed("learner_model_param", "base_score", value="nan"),
    "base scores of more classes": changed("learner_model_param", "base_score", value="[0,0,0,0]"),
    "a count that is none": changed("learner_model_param", "num_class", value="-3"),
    "classes that are not there": changed("attributes", "classes", value="0,1,9"),
    "classes that are one": changed("attributes", "classes", value="0,1,1"),
    "classes that are none": changed("attributes", "classes", value="a,b,c"),
    "no attributes": changed("attributes", value={}),
    "no learner parameters": changed("learner_model_param", value=[]),
    "trees that are texts": changed(*MODEL, "trees", 0, value="tree"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_model_is_refused_in_a_line_that_names_its_file(tmp_path, forged):
    model = read_ubjson(bytes(sound().save_raw("ubj")))
    FORGED[forged](model)
    (tmp_path / "model.ubj").write_bytes(ubjson(model))
    with pytest.raises(ValueError, match=r"^model\.ubj: [^\n]+$"):
        read_trees(tmp_path / "model.ubj", features=FEATURES, classes=CLASSES)
