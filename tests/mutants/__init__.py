"""Wrong changes of the code, and a runner that tells which of them the tests notice."""
