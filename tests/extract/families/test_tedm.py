from pathlib import Path

from backbone_suite import BackboneSuite

from tedm.extract.backbone import Backbone
from tedm.extract.checkpoint import load_backbone, save_backbone
from tedm.extract.families.tedm import random_backbone


class TestTedm(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        save_backbone(random_backbone(multipliers=(1, 2, 4)), folder / "ours.safetensors")
        return load_backbone(folder / "ours.safetensors")
