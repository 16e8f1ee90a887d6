"""What every method must do, whatever it is: the interface of ``benchmark.detector``, checked.

``python -m benchmark conformance package.module:Class`` runs the checks on any class that Python
can import; ``tests/test_conformance.py`` runs the same on every method of the suite. ``subject``
has the method and small real images, ``checks`` what must hold, ``mistakes`` how a method answers
its user's mistakes.
"""
