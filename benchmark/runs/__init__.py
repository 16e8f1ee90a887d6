"""The stage of the runs: models are trained and scored."""
