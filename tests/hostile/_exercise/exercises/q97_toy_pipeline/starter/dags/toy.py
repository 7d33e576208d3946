"""Put an Airflow DAG together."""

raise NotImplementedError
