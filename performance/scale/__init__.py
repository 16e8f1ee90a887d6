"""How time and memory grow with jobs, runs and data sets (``python -m performance.scale``)."""
