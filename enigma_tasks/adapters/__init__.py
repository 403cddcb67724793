"""One third-party service per module, imported nowhere else."""
