from .contrast import pretrain_contrast, require_contrast, require_same
from .curve import Point, write_curve
from .diffusion import pretrain_diffusion
from .loop import require_clear_way, require_ending, require_numbers
from .pretrained import read_pretrained
from .progress import TrainingReport
from .state import Format
from .validation import choose_held_out

__all__ = [
    "Format",
    "Point",
    "TrainingReport",
    "choose_held_out",
    "pretrain_contrast",
    "pretrain_diffusion",
    "read_pretrained",
    "require_clear_way",
    "require_contrast",
    "require_ending",
    "require_numbers",
    "require_same",
    "write_curve",
]
