"""Self-contained HTML pages, rendered without network and clock."""
