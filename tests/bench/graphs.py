"""Graphs for load: many jobs that do next to nothing."""

WIDTH = 100
CMD = {"Exec": ["/bin/true"], "Environ": [], "WorkingDirectory": "", "CatTemplate": "", "CatOutput": ""}


def job_id(number: int, salt: str = "") -> str:
    """40 hex digits, another set for each salt."""
    return f"{salt:0>8}{number:032x}"


def graph(shape: str, count: int, salt: str = "") -> dict[str, object]:
    """`flat`: independent jobs; `layered`: layers of 100, each job with two or three of the layer before."""
    jobs = [
        {
            "ID": job_id(number, salt),
            "Name": f"job-{number}",
            "Inputs": [],
            "Deps": [job_id(dep, salt) for dep in _deps(number)] if shape == "layered" else [],
            "Cmds": [CMD],
        }
        for number in range(count)
    ]
    return {"Graph": {"SourceFiles": {}, "Jobs": jobs}}


def _deps(number: int) -> list[int]:
    layer, place = divmod(number, WIDTH)
    if layer == 0:
        return []
    below = (layer - 1) * WIDTH
    return sorted({below + place, below + (place + 1) % WIDTH, below + (place * 7) % WIDTH})
