"""Ensembles of members: voting rules, their fitting, the ensemble's folder, its runner."""
