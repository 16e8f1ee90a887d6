"""Traffic signs under challenging conditions: CURE-TSR (Temel et al. 2017; the paper's A.4).

``cure_tsr`` reads the data set; ``file_names`` and ``cure_tsr_index`` are about its files. Without
CURE-TSR, ``gtsrb`` reads photographs of GTSRB and ``simulation`` makes similar challenges.
``selection`` holds the configuration's choice, ``sign_sheet`` the pictures of Fig. 8.
"""
