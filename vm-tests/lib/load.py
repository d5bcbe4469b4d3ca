"""Asks ratd without pause and counts what happens: `load.py PLAN`.

PLAN is a JSON file: `token` of who asks; the id of that `user`, the number of `pipelines` and the names
of the `services`, which answers have to say; `stop`, a file that ends it all once it is there; `report`,
where the counts then go; and `queries`, null or `sql` with the `rows` that it answers. One caller calls
the API, and another one queries if there is something to query.

Each request has a connection of its own, since it is new connections that a restart may refuse. What
is answered is looked at: `wrong` counts answers that say that all went well and do not hold, and
failures without a code.
"""

import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from typing import Any, Callable

Check = Callable[[Any], bool]
# What is asked, and whether an answer to it is right.
Request = tuple[str, str, Any, Check]

# Two callers and a scenario that looks are within ratd's default rate limit.
PAUSE = 0.05


def ask(request: Request, token: str) -> str:
    method, path, body, is_right = request
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException):
        # The process went away with the request in it.
        return "lost"
    finally:
        connection.close()
    try:
        found = json.loads(text)
        if answer.status == 200:
            return "200" if is_right(found) else "wrong"
        return f"{answer.status} {found['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return "wrong"


class Caller(threading.Thread):
    """Asks the same requests again and again, one at a time."""

    def __init__(self, name: str, requests: list[Request], plan: dict[str, Any]) -> None:
        super().__init__(name=name)
        self.requests = requests
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self.longest = 0.0

    def run(self) -> None:
        number = 0
        while not os.path.exists(self.plan["stop"]):
            # Who looks at this for a while knows whether a request is under way.
            with open(f"{self.plan['report']}.{self.name}", "w", encoding="utf-8") as file:
                file.write(str(number))
            began = time.monotonic()
            self.counts[ask(self.requests[number % len(self.requests)], self.plan["token"])] += 1
            self.longest = max(self.longest, time.monotonic() - began)
            number += 1
            time.sleep(PAUSE)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    calls: list[Request] = [
        ("GET", "/api/v1/me", None, lambda found: found["user_id"] == plan["user"]),
        ("GET", "/api/v1/pipelines", None, lambda found: len(found["pipelines"]) == plan["pipelines"]),
        ("GET", "/health", None, lambda found: sorted(found["services"]) == plan["services"]),
    ]
    callers = [Caller("calls", calls, plan)]
    queries = plan["queries"]
    if queries is not None:
        body = {"sql": queries["sql"]}
        asked: Request = ("POST", "/api/v1/query", body, lambda found: found["rows"] == queries["rows"])
        callers.append(Caller("queries", [asked], plan))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    report = {caller.name: caller.counts for caller in callers}
    longest = max(caller.longest for caller in callers)
    with open(plan["report"], "w", encoding="utf-8") as file:
        json.dump({"answers": report, "longest": round(longest, 3)}, file)


main()
