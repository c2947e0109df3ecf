"""MariaDB and MySQL: what a rehearsal needs of them."""
