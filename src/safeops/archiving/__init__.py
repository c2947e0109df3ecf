"""What is kept of dropped columns and tables, so that a downgrade can give it back."""
