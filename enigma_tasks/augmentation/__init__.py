"""More training documents from those there are: documents in, documents with parents out (paper, section 3.2)."""
