"""Several members' spans -> one answer: voting rules, their fitting, the ensemble's folder, its runner."""
