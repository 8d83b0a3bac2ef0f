"""Any classifier of scikit-learn as a head."""
