-- devrev-batch: needs timescaledb
SELECT create_hypertable('commits', 'committed_at', migrate_data => true);
