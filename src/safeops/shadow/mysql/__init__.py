"""The shadow column on MariaDB and MySQL."""
