"""What env.py has set on the migration's session, for the sessions beside it."""

from __future__ import annotations

from safeops.databases.base import Database
from safeops.databases.sessions import Handed

# Each step has timeouts of its own, and each transaction a level. A superuser's settings are for superusers to repeat.
SET_HERE = """SELECT name, setting FROM pg_settings
WHERE source = 'session' AND name NOT LIKE '%timeout' AND name NOT LIKE '%transaction%'
  AND name NOT IN ('application_name', 'client_encoding')
  AND (context = 'user' OR (SELECT rolsuper FROM pg_roles WHERE rolname = session_user))
ORDER BY name"""
# No view shows them. The role comes last: it may not be allowed to set the others.
WHO = "SELECT current_setting('session_authorization'), current_setting('role')"


class Handing(Database):
    """See ``DatabaseSession.handed_over``."""

    def handed_over(self, *, role: bool = True) -> Handed:
        settings = tuple((str(name), str(value)) for name, value in self.read(SET_HERE))
        who = zip(("session_authorization", "role"), map(str, self.read(WHO)[0]), strict=True)
        return (*settings, *(who if role else ()))

    def take_over(self, handed: Handed) -> None:
        for name, value in handed:
            self.read(f"SELECT set_config({self.literal(name)}, {self.literal(value)}, false)")
