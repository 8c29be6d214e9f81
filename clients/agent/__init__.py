"""Who carries buildapi's requests out: it hears of them, acts through the coordinator, and answers."""

from clients.agent.acting import Agent
from clients.agent.branches import Branches
from clients.agent.post import Delivery, LocalPost, NotSent, Post, Unconfirmed

__all__ = ["Agent", "Branches", "Delivery", "LocalPost", "NotSent", "Post", "Unconfirmed"]
