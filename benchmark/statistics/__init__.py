"""Statistics: arrays in, numbers out. It knows nothing of configurations, runs or files."""
