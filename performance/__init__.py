"""Speed and memory, measured against a plain reference. Not installed; run with ``make bench``."""
