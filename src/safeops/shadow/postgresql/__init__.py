"""The shadow column on PostgreSQL."""
