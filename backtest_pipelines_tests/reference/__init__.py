"""An independent reference: the documented rules in plain, slow Python, and the test material around it.

Nothing here imports the package under test or anything outside the standard library.
"""
