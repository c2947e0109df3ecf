"""MariaDB and MySQL: what tests of revisions need of them."""
