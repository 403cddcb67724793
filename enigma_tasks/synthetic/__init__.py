"""Synthetic discharge summaries with exact gold, generated from lexicons/{language}.yaml and a seed."""
