"""The project that revisions live in: found, set up, fitted out, and explained to its team."""
