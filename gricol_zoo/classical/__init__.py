"""Classical chromosome analysis: mask, medial axis, profiles, straightening, and two classifiers on hand-crafted features.

``straighten(grey)`` returns a straight chromosome; ``fit("poletti2012", images)`` trains a system and ``load(folder)`` reads
one. Needs scipy, and scikit-learn for training: install the extra ``classical``.
"""
