"""Speed and memory of ``gradcon``, against its plain reference (``make bench``); determinism."""
