from .run import run_demo
from .slices import write_pretraining_slices, write_template_slices
from .template import template_backbone, template_slices, template_store

__all__ = [
    "run_demo",
    "template_backbone",
    "template_slices",
    "template_store",
    "write_pretraining_slices",
    "write_template_slices",
]
