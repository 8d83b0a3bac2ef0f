"""Small classifiers on features: fitting, voting, scoring, saving."""

from tedm.heads.active.rank import Ranked, candidates, rank
from tedm.heads.boosting.head import XGBoostHead, feature_importance
from tedm.heads.data.rows import dask_rows
from tedm.heads.data.subsets import first_images
from tedm.heads.estimator.head import EstimatorHead
from tedm.heads.evaluation.evaluate import Prediction, evaluate, predict, reliability
from tedm.heads.evaluation.table import Record, read_records, summarise, write_records
from tedm.heads.explore.cka import Similarity, linear_cka
from tedm.heads.explore.component_maps import ComponentMaps, component_maps
from tedm.heads.explore.pca import PrincipalComponents
from tedm.heads.linear.logistic import LogisticHead
from tedm.heads.metrics.reliability import HeadReliability, Reliability, write_reliability
from tedm.heads.metrics.scores import score
from tedm.heads.mlp.head import MLPHead
from tedm.heads.probing.advice import advice
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.run import probe
from tedm.heads.segmenter.folder import load_head, save_head
from tedm.heads.segmenter.methods import METHODS, Method, method_named
from tedm.heads.segmenter.segmenter import Segmenter, fit
from tedm.heads.voting.temperature import Calibration, calibrate
from tedm.heads.voting.vote import vote
from tedm.heads.voting.weights import VoterWeights, learn_weights

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
