"""What can be asked: legs, timing rules, parameters, the catalogue of variants and the question built from them.

Nothing here knows a price.
"""
