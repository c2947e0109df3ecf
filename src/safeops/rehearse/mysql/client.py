"""MariaDB and MySQL: values are those of the driver, which an application in Python writes without preparing statements."""

from __future__ import annotations

from safeops.rehearse.traffic import client


class Client(client.Client):
    """A session of one of the drivers for threads."""

    drivers = ("pymysql", "mysqldb", "mariadbconnector")
    begins = "START TRANSACTION"
    equals = "<=>"
