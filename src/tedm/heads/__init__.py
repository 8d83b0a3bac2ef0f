"""Small classifiers on features: fitting, voting, scoring, saving."""

from tedm.heads.advice import advice
from tedm.heads.boosting import XGBoostHead, feature_importance
from tedm.heads.calibrate import Calibration, calibrate
from tedm.heads.components import PrincipalComponents
from tedm.heads.estimator import EstimatorHead
from tedm.heads.evaluate import Prediction, evaluate, predict, reliability
from tedm.heads.findings import Findings
from tedm.heads.logistic import LogisticHead
from tedm.heads.maps import ComponentMaps, component_maps
from tedm.heads.methods import METHODS, Method, method_named
from tedm.heads.mlp import MLPHead
from tedm.heads.probing import probe
from tedm.heads.rank import Ranked, candidates, rank
from tedm.heads.reliability import HeadReliability, Reliability, write_reliability
from tedm.heads.rows import dask_rows
from tedm.heads.saved import load_head, save_head
from tedm.heads.scores import score
from tedm.heads.segmenter import Segmenter, fit
from tedm.heads.similarity import Similarity, linear_cka
from tedm.heads.subsets import first_images
from tedm.heads.table import Record, read_records, summarise, write_records
from tedm.heads.vote import vote
from tedm.heads.weights import VoterWeights, learn_weights

__all__ = [
    "METHODS",
    "Calibration",
    "ComponentMaps",
    "EstimatorHead",
    "Findings",
    "HeadReliability",
    "LogisticHead",
    "MLPHead",
    "Method",
    "Prediction",
    "PrincipalComponents",
    "Ranked",
    "Record",
    "Reliability",
    "Segmenter",
    "Similarity",
    "VoterWeights",
    "XGBoostHead",
    "advice",
    "calibrate",
    "candidates",
    "component_maps",
    "dask_rows",
    "evaluate",
    "feature_importance",
    "first_images",
    "fit",
    "learn_weights",
    "linear_cka",
    "load_head",
    "method_named",
    "predict",
    "probe",
    "rank",
    "read_records",
    "reliability",
    "save_head",
    "score",
    "summarise",
    "vote",
    "write_records",
    "write_reliability",
]
