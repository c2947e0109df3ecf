"""One operation is one function; one family is one file."""
