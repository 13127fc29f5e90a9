"""Users of the deployment with FAB, where a policy names approvers as people do.

FAB numbers its users: an approval that is assigned to "checker" would be refused to everybody, because the id of
checker is "3". The policy keeps names, which say who is meant in a file that people read, sign and compare with the
name of whoever triggered a run; so it is here that the name counts as well.
"""

from typing import TYPE_CHECKING

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import User


class NamedApprovers(FabAuthManager):
    """FAB's users, who may answer an approval that is assigned to their user name."""

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: "User") -> bool:
        """Tell whether the user is among those asked, by name or by id."""
        return not assigned_users.isdisjoint({user.get_name(), user.get_id()})
