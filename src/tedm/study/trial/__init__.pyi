from .estimate import Estimate, estimate_study
from .examples import EXAMPLES, example
from .reading import read_study
from .results import assemble
from .run import Outcome, run_study
from .spec import Study
from .units import Unit, units_of

__all__ = [
    "EXAMPLES",
    "Estimate",
    "Outcome",
    "Study",
    "Unit",
    "assemble",
    "estimate_study",
    "example",
    "read_study",
    "run_study",
    "units_of",
]
