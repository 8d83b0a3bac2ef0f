from .active.candidates import candidates as candidates
from .active.rank import Ranked as Ranked
from .active.rank import rank as rank
from .base.head import Capabilities as Capabilities
from .base.head import FitReport as FitReport
from .base.head import Head as Head
from .base.head import HeadOptions as HeadOptions
from .boosting.head import XGBoostHead as XGBoostHead
from .boosting.importance import feature_importance as feature_importance
from .data.rows import dask_rows as dask_rows
from .data.subsets import first_images as first_images
from .estimator.head import EstimatorHead as EstimatorHead
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.records import Record as Record
from .evaluation.records import read_records as read_records
from .evaluation.records import write_records as write_records
from .evaluation.reliability import (
    HeadReliability as HeadReliability,
)
from .evaluation.reliability import (
    reliability as reliability,
)
from .evaluation.reliability import (
    write_reliability as write_reliability,
)
from .evaluation.table import summarise as summarise
from .explore.cka import Similarity as Similarity
from .explore.cka import linear_cka as linear_cka
from .explore.component_maps import ComponentMaps as ComponentMaps
from .explore.component_maps import component_maps as component_maps
from .explore.pca import PrincipalComponents as PrincipalComponents
from .linear.logistic import LogisticHead as LogisticHead
from .metrics.reliability import Reliability as Reliability
from .metrics.scores import score as score
from .mlp.head import MLPHead as MLPHead
from .probing.advice import advice as advice
from .probing.findings import Findings as Findings
from .probing.run import probe as probe
from .runtime.workers import connect as connect
from .segmenter.fit import fit as fit
from .segmenter.folder import load_head as load_head
from .segmenter.folder import save_head as save_head
from .segmenter.methods import METHODS as METHODS
from .segmenter.methods import Method as Method
from .segmenter.methods import method_named as method_named
from .segmenter.postprocess import Cleaning as Cleaning
from .segmenter.predict import Prediction as Prediction
from .segmenter.predict import predict as predict
from .segmenter.provenance import Provenance as Provenance
from .segmenter.segmenter import Segmenter as Segmenter
from .segmenter.tuning import calibrate as calibrate
from .segmenter.tuning import learn_weights as learn_weights
from .voting.ballot import Vote as Vote
from .voting.temperature import Calibration as Calibration
from .voting.vote import vote as vote
from .voting.weights import VoterWeights as VoterWeights

__all__ = [
    "Head",
    "Method",
    "Record",
    "Segmenter",
    "calibrate",
    "evaluate",
    "fit",
    "learn_weights",
    "load_head",
    "method_named",
    "predict",
    "probe",
    "rank",
    "save_head",
    "summarise",
]
