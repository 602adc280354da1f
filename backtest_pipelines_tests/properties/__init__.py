"""What must hold for every market and question, not only for chosen ones."""
