"""Training of token classifiers."""
