"""Run by the environment of dask-gateway: prints seconds from a new cluster to its first result, and to two workers."""

import json
import sys
import time

from dask_gateway import Gateway

port, runs = (int(argument) for argument in sys.argv[1:])
gateway = Gateway(f"http://127.0.0.1:{port + 1}", proxy_address=f"tls://127.0.0.1:{port + 2}", auth="basic")
for _ in range(runs):
    started = time.perf_counter()
    with gateway.new_cluster() as cluster, cluster.get_client() as client:
        cluster.scale(2)
        client.submit(sum, [1, 1]).result()
        first_result_s = time.perf_counter() - started
        client.wait_for_workers(2)
        print(
            json.dumps({"first_result_s": first_result_s, "two_workers_s": time.perf_counter() - started}), flush=True
        )
