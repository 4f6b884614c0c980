"""What both checks share: the run's endpoints, its published test keys, and a list of steps that passed."""

import json
import sys
import time

# A published throw-away key, the L1 key of the simulated account and the L2 key derived from it. Never fund it.
L1_ADDRESS = "0xD0B64b8562331595bDf948bc60Fb92a2E5C009A6"
L1_PRIVATE_KEY = "0xba987cd45a4b93159f701b2e97bfd79e5cb93fa65030446aaf53831b32f8640d"
L2_PRIVATE_KEY = "0x51020ffca36c46756ed57142004f7180e14f15a6fe5e4c5344cce536e3c9620"
MARKET = "BTC-USD-PERP"


def endpoints():
    """The JSON object that `bot4-sim serve` printed, from the file named on the command line."""
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.loads(file.readline())


def env_file(path):
    """The keys of a `.env`, as a dictionary."""
    with open(path, encoding="utf-8") as file:
        pairs = (line.strip().split("=", 1) for line in file if "=" in line and not line.startswith("#"))
        return dict(pairs)


def client_id(name):
    """A client id that no earlier check has used."""
    return f"fid-{name}-{time.time_ns()}"


class Steps:
    """Prints one row for each step; a failed one ends the check."""

    def __init__(self, client):
        self.client = client
        self.started = time.time()

    def passed(self, step, detail):
        print(f"{self.client:<18} {step:<34} ok    {detail}", flush=True)

    def check(self, step, condition, detail):
        if not condition:
            print(f"{self.client:<18} {step:<34} FAIL  {detail}", flush=True)
            sys.exit(1)
        self.passed(step, detail)
