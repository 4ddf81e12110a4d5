-- devrev-batch: needs timescaledb
-- Hypertables of what has a time. Views of 0003 stay as they are. Rows that are there are moved into chunks.

SELECT create_hypertable('commits', 'committed_at', chunk_time_interval => INTERVAL '7 days', if_not_exists => true, migrate_data => true);
SELECT create_hypertable('pull_requests', 'created_at', chunk_time_interval => INTERVAL '1 month', if_not_exists => true, migrate_data => true);
SELECT create_hypertable('issues', 'created_at', chunk_time_interval => INTERVAL '1 month', if_not_exists => true, migrate_data => true);
SELECT create_hypertable('metrics_daily', 'metric_date', chunk_time_interval => INTERVAL '1 year', if_not_exists => true, migrate_data => true);

ALTER TABLE commits SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'repository_id',
    timescaledb.compress_orderby = 'committed_at DESC, sha'
);
ALTER TABLE pull_requests SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'repository_id',
    timescaledb.compress_orderby = 'created_at DESC, number'
);
ALTER TABLE issues SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'project_key',
    timescaledb.compress_orderby = 'created_at DESC, issue_key'
);
SELECT add_compression_policy('commits', INTERVAL '90 days', if_not_exists => true);
SELECT add_compression_policy('pull_requests', INTERVAL '90 days', if_not_exists => true);
SELECT add_compression_policy('issues', INTERVAL '180 days', if_not_exists => true);
SELECT add_retention_policy('commits', INTERVAL '2 years', if_not_exists => true);
SELECT add_retention_policy('pull_requests', INTERVAL '2 years', if_not_exists => true);
SELECT add_retention_policy('issues', INTERVAL '5 years', if_not_exists => true);

-- The same names and columns as in 0002. They are filled by 0005, for that cannot be in a transaction.
DROP MATERIALIZED VIEW pull_requests_weekly_metrics;
DROP MATERIALIZED VIEW commits_daily_stats;

CREATE MATERIALIZED VIEW commits_daily_stats WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket(INTERVAL '1 day', committed_at) AS day,
    repository_id,
    count(*) AS commit_count,
    sum(additions) AS total_additions,
    sum(deletions) AS total_deletions
FROM commits
GROUP BY day, repository_id
WITH NO DATA;

CREATE MATERIALIZED VIEW pull_requests_weekly_metrics WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket(INTERVAL '1 week', created_at) AS week,
    repository_id,
    count(*) AS pr_count,
    avg(review_time_hours) AS avg_review_time,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY review_time_hours) AS median_review_time
FROM pull_requests
GROUP BY week, repository_id
WITH NO DATA;

-- The range that is refreshed is shorter than the retention: what the raw tables have lost stays in the aggregates.
SELECT add_continuous_aggregate_policy('commits_daily_stats',
    start_offset => INTERVAL '1 year', end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour');
SELECT add_continuous_aggregate_policy('pull_requests_weekly_metrics',
    start_offset => INTERVAL '1 year', end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour');
