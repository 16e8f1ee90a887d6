"""Traffic signs under challenging conditions: CURE-TSR (Temel et al. 2017; the paper's A.4).

``cure_tsr`` reads the data set, of which ``cure_tsr_index`` knows the files and ``file_names`` the
names. Where CURE-TSR is not at hand, ``gtsrb`` reads photographs of another data set and
``simulation`` puts them under the same conditions. ``selection`` says which of them a study is on,
``sign_sheet`` keeps one sign under all of them for a figure.
"""
