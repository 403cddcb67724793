"""`python -m infra.bundle` writes one signed archive for a place without internet (docs/air-gap.md)."""
