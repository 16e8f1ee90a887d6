"""The committed results: published, kept compatible, verified."""
