"""The rename of a table over two deploys."""
