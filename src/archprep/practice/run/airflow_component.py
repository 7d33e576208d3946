"""Runs one component of Airflow with the candidate's folder on its path.

    python -m archprep.practice.run.airflow_component FOLDER ARGUMENT...
    python -m archprep.practice.run.airflow_component FOLDER api-server DESCRIPTOR

The first form runs `airflow ARGUMENT...`; the second serves the API on a socket that is already
bound. archprep's own process never imports Airflow.
"""

from __future__ import annotations

import os
import socket
import sys

from archprep.sandbox import processes

API_SERVER = "api-server"
SHUTDOWN_SECONDS = 1  # for open requests


def main(folder: str, *arguments: str) -> None:
    """Run the component until it is ended."""
    # Last, as Airflow does with the DAG folder: a random.py must not replace the library's.
    sys.path.append(folder)
    if not processes.is_linux():  # there, tasks run in new interpreters
        os.environ["PYTHONPATH"] = folder
    if arguments[0] == API_SERVER:
        _serve_api(int(arguments[1]))
        return
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()


def _serve_api(descriptor: int) -> None:
    """Do what `airflow api-server` does with one worker, on a socket that archprep holds."""
    import uvicorn

    from archprep.worker.airflow_patches import offer_one_api_version

    offer_one_api_version()  # all components have the same version
    config = uvicorn.Config(
        "airflow.api_fastapi.main:app",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(*sys.argv[1:])
