"""Files of volumes: what they say of themselves, their voxels, and label maps written in their own geometry."""
