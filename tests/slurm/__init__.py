"""A Slurm of one node on this machine, and whether a configuration goes on after its faults."""
