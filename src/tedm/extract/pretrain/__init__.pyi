from .curve import Point, write_curve
from .diffusion import pretrain_diffusion, require_clear_way, require_numbers
from .progress import TrainingReport
from .state import Format
from .validation import choose_held_out

__all__ = [
    "Format",
    "Point",
    "TrainingReport",
    "choose_held_out",
    "pretrain_diffusion",
    "require_clear_way",
    "require_numbers",
    "write_curve",
]
