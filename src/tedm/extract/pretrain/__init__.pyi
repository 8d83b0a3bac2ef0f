from .curve import Point, write_curve
from .diffusion import pretrain_diffusion
from .progress import TrainingReport
from .validation import choose_held_out

__all__ = [
    "Point",
    "TrainingReport",
    "choose_held_out",
    "pretrain_diffusion",
    "write_curve",
]
