"""Invented discharge summaries with exact gold: lexicons/{language}.yaml -> documents, seeded."""
