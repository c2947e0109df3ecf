"""How statements to SQLite are judged."""

from safeops.judging.sqlite.facts import Facts as Facts
from safeops.judging.sqlite.judged import JudgedServer as JudgedServer
