"""Where people look at things with a browser."""


def page(coordinator: str, build: str) -> str:
    """The live page, open at a build."""
    return f"{coordinator.rstrip('/')}/#/b/{build}"
