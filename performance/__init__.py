"""Speed and memory of ``gradcon``, against its plain reference; run with ``make bench``."""
