from .nnunet import Exported, export_nnunet

__all__ = ["Exported", "export_nnunet"]
