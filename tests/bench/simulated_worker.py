"""A worker that runs nothing: takes up to BATCH jobs a heartbeat and says at once that they are done.

python -m tests.bench.simulated_worker URL NAME BATCH
"""

import sys

from tests.bench.plain_http import Connection


def main(url: str, name: str, batch: int) -> None:
    connection = Connection(url)
    report: dict[str, object] = {
        "WorkerID": f"http://{name}.invalid",
        "Session": name,
        "Slots": batch,
        "FreeSlots": batch,
        "RunningJobs": [],
        "FinishedJob": [],
        "AddedArtifacts": [],
    }
    while True:
        answer = connection.post("/heartbeat?wait=20", report)
        assert isinstance(answer, dict)
        report["FinishedJob"] = [
            {"ID": id_, "Lease": spec["Lease"], "ExitCode": 0, "Error": None}
            for id_, spec in answer["JobsToRun"].items()
        ]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
