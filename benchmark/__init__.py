"""What all methods share: the detector interface, data, splits, runs, metrics, tables, figures.

From the configuration to the report, and what each step is made of:

=============  ====================================================================================
configuration  ``config``; ``plan``: the jobs it means; ``methods``, ``modules``, ``digest``: where
               the code of a method is, and its hash
images         ``datasets``, ``cure_tsr``: read and prepared; ``splits``: which train, which test
runs           ``detector``: the interface of a method; ``runs``: fit, score, write; ``device``
numbers        ``scores``: read back and checked; ``measures``, ``metrics``, ``summary``,
               ``statistics``; ``selection``: what the choice of the model is worth
judgement      ``published``, ``evidence``, ``verdicts``, ``reported``, ``comparisons``, ``claims``,
               ``findings``
pages          ``outputs``: where they lie; ``captions``, ``marks``, ``render``, ``tables``,
               ``figures``, ``report``; ``provenance``: what they were made from
committed      ``publish``, ``alike``: gathered; ``reanalyse``: made again; ``drift``: checked
underneath     ``errors``, ``files``, ``console``
=============  ====================================================================================

Everything from the numbers on is computed from ``scores.parquet`` and ``run.json`` alone.
"""
