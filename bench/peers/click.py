"""ClickHouse (chDB) as a child process: a statement a line on stdin, an answer a line on stdout.

A statement and its answer are JSON. Times are taken here, around the statement alone.
"""
import json
import sys
import time

from chdb import session


def main() -> None:
    database = session.Session(sys.argv[1])
    for line in sys.stdin:
        sql = json.loads(line)
        try:
            used, started = time.process_time_ns(), time.perf_counter_ns()
            result = database.query(sql, "TSV")
            took, used = time.perf_counter_ns() - started, time.process_time_ns() - used
            text = str(result)
            answer = {"ns": took, "cpu": used, "rows": [row.split("\t") for row in text.splitlines()]}
        except Exception as fault:  # whatever it is, the parent tells it
            answer = {"fault": str(fault)}
        print(json.dumps(answer), flush=True)


main()
