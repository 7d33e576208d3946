# case 51: calls while Airflow parses a DAG are recorded, even if they are not answered
# exercise: q97
# outcome: no-work-at-import = failed
# message: ['database', 'network', 'variable']
import socket
from contextlib import suppress

from airflow.models import Pool
from airflow.sdk import Variable
from honest import dag

with suppress(Exception):
    socket.create_connection(("169.254.169.254", 80), timeout=60)
Variable.get("toy", default=None)
with suppress(Exception):
    Pool.create_or_update_pool("toy", 1, "", include_deferred=False)
