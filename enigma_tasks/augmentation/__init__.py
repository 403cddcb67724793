"""Augmentation: documents -> further training documents, each with its parents (paper, section 3.2)."""
