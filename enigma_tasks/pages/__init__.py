"""Self-contained HTML: figures in, text out; no network, no clock."""
