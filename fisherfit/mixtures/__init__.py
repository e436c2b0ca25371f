"""Finite mixtures: components, mixing proportions, and the likelihood that they make together.

EM is the natural-gradient step under the information of the complete data; the observed information (Louis, 1982)
finishes the fit and gives the standard errors.
"""
