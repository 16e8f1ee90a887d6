"""The stage of the runs: one model is trained and scored."""
