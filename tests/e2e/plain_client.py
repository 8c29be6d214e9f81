"""A client of plain distbuild, as others write them: POST the graph, signal, read to the end.

python plain_client.py COORDINATOR GRAPH. Prints each value of the stream as it comes. Uses nothing of ours.
"""

import json
import sys
import urllib.request
from pathlib import Path


def main(coordinator: str, graph: str) -> None:
    body = Path(graph).read_bytes()
    with urllib.request.urlopen(urllib.request.Request(f"{coordinator}/build", body)) as stream:
        started = json.loads(stream.readline())
        print(json.dumps(started), flush=True)
        signal = urllib.request.Request(
            f"{coordinator}/signal?build_id={started['ID']}", b'{"UploadDone":{}}', method="POST"
        )
        urllib.request.urlopen(signal).read()
        for line in stream:
            print(line.decode().strip(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
