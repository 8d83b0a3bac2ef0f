from .active.candidates import candidates as candidates
from .active.rank import RankBy as RankBy
from .active.rank import Ranked as Ranked
from .active.rank import rank as rank
from .base.head import Capabilities as Capabilities
from .base.head import FitReport as FitReport
from .base.head import Head as Head
from .base.head import HeadOptions as HeadOptions
from .base.head import Progress as Progress
from .base.head import StartingHead as StartingHead
from .base.registry import SEEDS as SEEDS
from .boosting.head import XGBoostHead as XGBoostHead
from .boosting.importance import feature_importance as feature_importance
from .committee.head import CommitteeHead as CommitteeHead
from .data.dataset import TrainingData as TrainingData
from .data.rows import RowLayout as RowLayout
from .data.rows import dask_rows as dask_rows
from .data.rows import dense_rows as dense_rows
from .data.rows import row_labels as row_labels
from .data.sampling import ClassWeight as ClassWeight
from .data.sampling import Sampling as Sampling
from .data.sampling import require_pixels as require_pixels
from .data.subsets import N_COUNTS as N_COUNTS
from .data.subsets import NCounts as NCounts
from .data.subsets import Order as Order
from .data.subsets import first_groups as first_groups
from .data.subsets import first_images as first_images
from .data.views import views_of_each as views_of_each
from .estimator.head import EstimatorHead as EstimatorHead
from .evaluation.cells import Cell as Cell
from .evaluation.comparison import Comparison as Comparison
from .evaluation.comparison import class_names as class_names
from .evaluation.comparison import comparisons as comparisons
from .evaluation.comparison import foreground_values as foreground_values
from .evaluation.comparison import is_measured as is_measured
from .evaluation.comparison import require_measured_at as require_measured_at
from .evaluation.comparison import require_one_count as require_one_count
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.evaluate import unseen_images as unseen_images
from .evaluation.intervals import image_scores as image_scores
from .evaluation.intervals import mean_intervals as mean_intervals
from .evaluation.records import Record as Record
from .evaluation.records import read_records as read_records
from .evaluation.records import records_csv as records_csv
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
from .evaluation.render import Grid as Grid
from .evaluation.render import escape_latex as escape_latex
from .evaluation.render import escape_markdown as escape_markdown
from .evaluation.render import images_in_words as images_in_words
from .evaluation.table import Table as Table
from .evaluation.table import summarise as summarise
from .evaluation.volumes import VolumeMasks as VolumeMasks
from .evaluation.volumes import evaluate_volumes as evaluate_volumes
from .explore.cka import Similarity as Similarity
from .explore.cka import linear_cka as linear_cka
from .explore.component_maps import ComponentMaps as ComponentMaps
from .explore.component_maps import component_maps as component_maps
from .explore.pca import PrincipalComponents as PrincipalComponents
from .linear.logistic import LogisticHead as LogisticHead
from .linear.passes import Effort as Effort
from .linear.passes import losses as losses
from .linear.stacks import Model as Model
from .metrics.bootstrap import DRAWS as DRAWS
from .metrics.measures import BY_SURFACE as BY_SURFACE
from .metrics.measures import METRICS as METRICS
from .metrics.measures import SCALES as SCALES
from .metrics.measures import TITLES as TITLES
from .metrics.measures import Metric as Metric
from .metrics.measures import measure as measure
from .metrics.reliability import Reliability as Reliability
from .metrics.scores import score as score
from .metrics.significance import CORRECTIONS as CORRECTIONS
from .metrics.significance import Correction as Correction
from .metrics.significance import holm as holm
from .metrics.significance import paired_p_value as paired_p_value
from .metrics.summary import CONVENTIONS as CONVENTIONS
from .metrics.summary import LEAVE_OUT as LEAVE_OUT
from .metrics.summary import EmptyTruth as EmptyTruth
from .metrics.summary import by_convention as by_convention
from .metrics.summary import mean_and_deviation as mean_and_deviation
from .metrics.summary import mean_of_present as mean_of_present
from .metrics.surface import SURFACE_TOLERANCE as SURFACE_TOLERANCE
from .metrics.surface import SurfaceScores as SurfaceScores
from .metrics.surface import surface_scores as surface_scores
from .mlp.head import MLPHead as MLPHead
from .mlp.layers import working_bytes as working_bytes
from .mlp.network import Committee as Committee
from .mlp.network import hidden_sizes as hidden_sizes
from .probing.advice import advice as advice
from .probing.findings import Findings as Findings
from .probing.plan import STRENGTHS as STRENGTHS
from .probing.plan import By as By
from .probing.run import probe as probe
from .runtime.memory import Budget as Budget
from .runtime.memory import resident as resident
from .runtime.workers import HERE as HERE
from .runtime.workers import Workers as Workers
from .runtime.workers import connect as connect
from .segmenter.by_number import MANY as MANY
from .segmenter.by_number import by_number as by_number
from .segmenter.by_number import require_start as require_start
from .segmenter.by_number import starts_from_weights as starts_from_weights
from .segmenter.fit import fit as fit
from .segmenter.fit import order_of as order_of
from .segmenter.fit import require_timesteps as require_timesteps
from .segmenter.fit import training_subset as training_subset
from .segmenter.fit import weights_by_index as weights_by_index
from .segmenter.folder import fingerprint_of as fingerprint_of
from .segmenter.folder import load_head as load_head
from .segmenter.folder import save_head as save_head
from .segmenter.identity import Identity as Identity
from .segmenter.identity import identities_csv as identities_csv
from .segmenter.identity import identities_from as identities_from
from .segmenter.identity import identity_of as identity_of
from .segmenter.identity import names_in_records as names_in_records
from .segmenter.identity import names_of as names_of
from .segmenter.methods import DEFAULT as DEFAULT
from .segmenter.methods import JURIES as JURIES
from .segmenter.methods import METHODS as METHODS
from .segmenter.methods import Method as Method
from .segmenter.methods import committee_of as committee_of
from .segmenter.methods import default_method as default_method
from .segmenter.methods import method_named as method_named
from .segmenter.methods import require_name as require_name
from .segmenter.methods import unfitted_head as unfitted_head
from .segmenter.methods import with_head as with_head
from .segmenter.postprocess import Cleaning as Cleaning
from .segmenter.predict import Prediction as Prediction
from .segmenter.predict import predict as predict
from .segmenter.provenance import Provenance as Provenance
from .segmenter.published import PUBLISHED as PUBLISHED
from .segmenter.published import VAL_IMAGES as VAL_IMAGES
from .segmenter.segmenter import Segmenter as Segmenter
from .segmenter.tuning import calibrate as calibrate
from .segmenter.tuning import learn_weights as learn_weights
from .unet.head import UNetHead as UNetHead
from .voting.ballot import Vote as Vote
from .voting.temperature import Calibration as Calibration
from .voting.vote import RULES as RULES
from .voting.vote import VotingRule as VotingRule
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
