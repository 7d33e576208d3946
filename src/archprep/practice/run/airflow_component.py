"""Starts one component of Airflow, so that the candidate's modules can be imported in it.

    python -m archprep.practice.run.airflow_component FOLDER ARGUMENT...
    python -m archprep.practice.run.airflow_component FOLDER api-server DESCRIPTOR

The first runs `airflow ARGUMENT...`; the second serves the API on a socket that is already bound.

A process of its own: archprep itself never imports Airflow.
"""

from __future__ import annotations

import socket
import sys

API_SERVER = "api-server"
LAST_REQUESTS_SECONDS = 1


def main(folder: str, *arguments: str) -> None:
    """Run the component until it is ended."""
    # Last, as Airflow does it with the DAG folder: a random.py must not replace the library's.
    sys.path.append(folder)
    if arguments[0] == API_SERVER:
        _serve(int(arguments[1]))
        return
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()


def _serve(descriptor: int) -> None:
    """What `airflow api-server` does with one worker; but nobody can take its port before."""
    import uvicorn

    from archprep.worker.airflow_patches import offer_one_api_version

    offer_one_api_version()  # the components are of this very version
    config = uvicorn.Config(
        "airflow.api_fastapi.main:app",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(*sys.argv[1:])
