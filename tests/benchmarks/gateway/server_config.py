# The configuration of a dask-gateway-server with its local backend, for `tests.benchmarks.containers`.
# ruff: noqa: F821  # `c` is what traitlets gives a configuration file
import os

_port = int(os.environ["GATEWAY_PORT"])
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.address = f"127.0.0.1:{_port}"
c.Proxy.address = f"127.0.0.1:{_port + 1}"
c.Proxy.tcp_address = f"127.0.0.1:{_port + 2}"
c.UnsafeLocalBackend.clusters_directory = os.environ["GATEWAY_FOLDER"]
# The commands that it starts by default went with distributed 2026.8.
c.ClusterConfig.scheduler_cmd = ["dask", "scheduler"]
c.ClusterConfig.worker_cmd = ["dask", "worker"]
