"""Which runs are missing, in what order they are worth most, what they cost, and training them.

``state`` compares a folder of results with its configuration, ``order`` puts runs in order,
``forecast`` estimates their cost, ``budget`` trains them within a given time, ``packs`` carries
their scores from one machine to another, ``requests`` says what a job asks a cluster for. None of
it needs Snakemake.
"""
