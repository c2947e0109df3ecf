"""How statements to MariaDB and MySQL are judged."""

from safeops.judging.mysql.facts import Facts as Facts
from safeops.judging.mysql.judged import JudgedServer as JudgedServer
from safeops.judging.mysql.judged import MariaDBJudgedServer as MariaDBJudgedServer
