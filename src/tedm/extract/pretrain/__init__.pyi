from .curve import Point, write_curve
from .diffusion import pretrain_diffusion
from .progress import TrainingReport
from .state import Format
from .validation import choose_held_out

__all__ = [
    "Format",
    "Point",
    "TrainingReport",
    "choose_held_out",
    "pretrain_diffusion",
    "write_curve",
]
