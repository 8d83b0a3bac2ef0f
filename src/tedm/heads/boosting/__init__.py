"""Gradient-boosted trees with XGBoost, from pages of bins on disk or on a cluster."""
