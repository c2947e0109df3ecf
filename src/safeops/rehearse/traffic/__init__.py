"""Traffic on the copy while revisions run: what the application would notice, and whether a write is lost."""

from safeops.rehearse.traffic.errors import TrafficError
from safeops.rehearse.traffic.files import plan_from_file
from safeops.rehearse.traffic.losses import Comparison, Loss
from safeops.rehearse.traffic.plan import TrafficPlan, plan_of
from safeops.rehearse.traffic.process import Traffic
from safeops.rehearse.traffic.replacements import Replacement, Replacements, following_recipes
from safeops.rehearse.traffic.result import Stretch, TrafficResult
from safeops.rehearse.traffic.server_statements import plan_from_server

__all__ = [
    "Comparison",
    "Loss",
    "Replacement",
    "Replacements",
    "Stretch",
    "Traffic",
    "TrafficError",
    "TrafficPlan",
    "TrafficResult",
    "following_recipes",
    "plan_from_file",
    "plan_from_server",
    "plan_of",
]
