"""Text -> sentences, words, sub-words and windows; spans cleaned afterwards."""
