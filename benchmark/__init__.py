"""What all methods share, with one folder or module per stage, in the order of the data.

``config`` → ``data`` → ``splits`` → ``runs`` → ``scores`` → ``metrics`` → ``verdicts`` →
``tables``, ``figures`` → ``report``

Each stage writes files and reads only those of earlier ones; ``layout`` knows where they lie.
Everything from the metrics on is computed from the scores
alone, without PyTorch: ``reanalyse`` does it in one go, ``reference`` keeps the committed results.
``published`` has the numbers of the paper, ``captions`` the words that tables, figures and report
share. ``detector`` is the interface of a method, ``base_detector`` what our methods share of it.
``statistics`` and ``utils`` know nothing of the rest.
"""
