"""Reviews the revisions of a project before they are deployed."""
