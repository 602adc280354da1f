"""The processes of an installation on one machine: started, watched, stopped. No strategy is known here."""
