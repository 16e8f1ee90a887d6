"""CURE-TSR: traffic signs under challenging conditions (Temel et al. 2017; the paper's A.4).

``codes`` knows its names, ``index`` its files, ``challenges`` simulates its conditions, and
``study`` has the numbers of the challenge study. Images are read by ``benchmark.datasets.cure_tsr``
and, where CURE-TSR is not at hand, by ``benchmark.datasets.gtsrb``.
"""
