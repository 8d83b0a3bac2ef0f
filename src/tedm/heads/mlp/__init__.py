"""Small MLPs, alone or as a committee, on random pixels or on whole images."""
