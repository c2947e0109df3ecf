"""What a drop keeps, and how it comes back."""
