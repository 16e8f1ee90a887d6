"""The committed results: publishing runs, checking that they match, verifying tables."""
