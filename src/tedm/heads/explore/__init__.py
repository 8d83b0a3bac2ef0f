"""Looking at features without labels: principal components, similarity."""
