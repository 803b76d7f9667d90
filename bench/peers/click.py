"""ClickHouse (chDB) as a child process: one statement per line on stdin, one answer per line on stdout.

A statement and its answer are JSON. Times are measured here, around the statement only.
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
        except Exception as fault:  # the parent process reports it
            answer = {"fault": str(fault)}
        print(json.dumps(answer), flush=True)


main()
