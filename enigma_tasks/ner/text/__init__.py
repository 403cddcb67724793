"""Texts as sentences, words, sub-words and windows; post-processing of spans."""
