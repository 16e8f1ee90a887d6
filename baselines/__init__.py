"""The methods that GradCon was compared with, one module each, behind ``benchmark.detector``."""
