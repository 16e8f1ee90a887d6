"""What all methods share: the detector interface, data, splits, runs, metrics, tables, figures."""
