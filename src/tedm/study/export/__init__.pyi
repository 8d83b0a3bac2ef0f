from .models.model import ExportedModel, export_model
from .nnunet import Exported, export_nnunet

__all__ = ["Exported", "ExportedModel", "export_model", "export_nnunet"]
