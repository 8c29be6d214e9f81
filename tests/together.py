"""Which tests run in one process although there are several: those that share what is dear, or scarce."""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

TOGETHER = {
    # Where no other small disk can be had one of them fills /dev/shm, where the others keep their files.
    "shared memory": (
        "tests/crash/test_damage.py",
        "tests/crash/test_power_cuts.py",
        "tests/e2e/test_full_disk.py",
        "tests/simulation/",
    ),
    "a browser, and the farm that most look at": ("tests/browser/",),
    "a container engine": (
        "tests/workers/test_engine.py",
        "tests/workers/test_containers.py",
        "tests/workers/test_cube.py",
        "tests/e2e/test_containers.py",
    ),
    "Lua's source, with each file looked at": ("tests/e2e/test_c_project.py",),
}


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """These come first, since they are the longest; each other test runs wherever there is room."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for shared, paths in TOGETHER.items() if nodeid.startswith(paths)), nodeid)
