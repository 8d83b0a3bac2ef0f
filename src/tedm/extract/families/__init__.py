"""The kinds of networks that can be a backbone, one module each.

A module of `FAMILIES` is a `Family`: it states how it recognises a checkpoint and builds a `Backbone` from it. The first that
recognises a checkpoint gets it, so a new family is a module and a line here.
"""

from __future__ import annotations

from . import diffusers, milestone, monai, openai, tedm
from .family import Content, Family

FAMILIES: tuple[Family, ...] = (tedm, openai, diffusers, monai, milestone)

__all__ = ["FAMILIES", "Content", "Family"]
