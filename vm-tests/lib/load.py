"""Asks ratd without pause and counts what happens: `load.py TOKEN STOP REPORT`.

It goes on until there is a file STOP, and then writes its counts to REPORT. Each request has a
connection of its own, since it is new connections that a restart may refuse.
"""

import http.client
import json
import os
import sys
import time
from collections import Counter

PATHS = ["/api/v1/me", "/api/v1/pipelines", "/health"]


def ask(path: str, token: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return str(connection.getresponse().status)
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException):
        # The process went away with the request in it.
        return "lost"
    finally:
        connection.close()


def main() -> None:
    token, stop, report = sys.argv[1:]
    counts: Counter[str] = Counter()
    longest = 0.0
    number = 0
    while not os.path.exists(stop):
        began = time.monotonic()
        counts[ask(PATHS[number % len(PATHS)], token)] += 1
        longest = max(longest, time.monotonic() - began)
        number += 1
        # Within ratd's default rate limit.
        time.sleep(0.025)
    with open(report, "w", encoding="utf-8") as file:
        json.dump({"answers": counts, "longest": round(longest, 3)}, file)


main()
