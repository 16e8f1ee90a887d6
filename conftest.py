"""Tests without deadlines."""

import hypothesis

# A busy machine is no failure: nothing here is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
