from pathlib import Path

from backbone_suite import BackboneSuite

from tedm.extract.backbones import Backbone, load_backbone, random_backbone, save_backbone


class TestTedm(BackboneSuite):
    def load(self, folder: Path) -> Backbone:
        save_backbone(random_backbone(multipliers=(1, 2, 4)), folder / "ours.safetensors")
        return load_backbone(folder / "ours.safetensors")
