"""The methods that GradCon was compared with, one module each.

Each is a detector (``benchmark.detector.Detector``).
"""
