from .annotate import Chosen, choose_next, order_in_words, shown_scores, write_ranking
from .arrays.fitting import fit_images
from .arrays.labelled import dataset
from .arrays.result import Segmentation
from .arrays.session import Session, segment
from .environment import environment_here
from .evaluate import Evaluated, evaluate_heads
from .export.models.model import ExportedModel, export_model
from .export.nnunet import Exported, export_nnunet
from .fit import fit_folder
from .inspect import describe, describe_backbone, description_lines
from .predict import live_features, predict_folder
from .pretrain import TrainingImages, read_training_images, write_pictures
from .probe import probe_store
from .remarks import differences_from_store, remarks_on_votes
from .report.calibration import write_calibration
from .report.evaluation import Evaluation, read_evaluation, write_evaluation
from .report.probe import write_findings
from .report.report import write_report
from .report.result import ResultFolder, read_result, write_result
from .trial.reading import read_study
from .trial.run import run_study
from .verify import Verified, verify_store

__all__ = [
    "Chosen",
    "Evaluated",
    "Evaluation",
    "Exported",
    "ExportedModel",
    "ResultFolder",
    "Segmentation",
    "Session",
    "TrainingImages",
    "Verified",
    "choose_next",
    "dataset",
    "describe",
    "describe_backbone",
    "description_lines",
    "differences_from_store",
    "environment_here",
    "evaluate_heads",
    "export_model",
    "export_nnunet",
    "fit_folder",
    "fit_images",
    "live_features",
    "order_in_words",
    "predict_folder",
    "probe_store",
    "read_evaluation",
    "read_result",
    "read_study",
    "read_training_images",
    "remarks_on_votes",
    "run_study",
    "segment",
    "shown_scores",
    "verify_store",
    "write_calibration",
    "write_evaluation",
    "write_findings",
    "write_pictures",
    "write_ranking",
    "write_report",
    "write_result",
]
