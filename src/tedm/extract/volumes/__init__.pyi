from .dicom_seg import require_segmentable, write_dicom_seg
from .header import VolumeHeader
from .planes import oriented
from .read import is_volume, read_header, read_labels, read_voxels, shape_problem, volume_stem
from .write import require_writers, volume_files_written, write_label_map, write_map, write_modality

__all__ = [
    "VolumeHeader",
    "is_volume",
    "oriented",
    "read_header",
    "read_labels",
    "read_voxels",
    "require_segmentable",
    "require_writers",
    "shape_problem",
    "volume_files_written",
    "volume_stem",
    "write_dicom_seg",
    "write_label_map",
    "write_map",
    "write_modality",
]
