"""Classical chromosome analysis: mask, medial axis, profiles, straightening, and two systems on hand-made features.

``straighten(grey)`` gives a straight chromosome; ``fit("poletti2012", images)`` trains a system, ``load(folder)`` reads one.
scipy is needed, and scikit-learn to train: the extra ``classical``.
"""
