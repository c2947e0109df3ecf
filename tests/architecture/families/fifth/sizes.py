"""See ``safeops.databases.sizes``."""

from safeops.databases.sqlite.sizes import Sizes

__all__ = ["Sizes"]
