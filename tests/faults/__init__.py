"""Kills, signals, full disks and damaged files, and whether one command goes on after each."""
