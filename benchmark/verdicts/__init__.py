"""The stage of the verdicts: published against reproduced."""
