from .calibration import write_calibration
from .evaluation import Evaluation, read_evaluation, told_apart, write_evaluation
from .probe import write_findings
from .report import write_report
from .result import ResultFigure, ResultFolder, ResultTable, read_result, write_result

__all__ = [
    "Evaluation",
    "ResultFigure",
    "ResultFolder",
    "ResultTable",
    "read_evaluation",
    "read_result",
    "told_apart",
    "write_calibration",
    "write_evaluation",
    "write_findings",
    "write_report",
    "write_result",
]
