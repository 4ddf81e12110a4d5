-- devrev-batch: needs timescaledb
-- Takes away policies and continuous aggregates. The tables stay hypertables: TimescaleDB has no way back but to copy them.

DROP MATERIALIZED VIEW pull_requests_weekly_metrics;
DROP MATERIALIZED VIEW commits_daily_stats;
SELECT remove_retention_policy('issues', if_exists => true);
SELECT remove_retention_policy('pull_requests', if_exists => true);
SELECT remove_retention_policy('commits', if_exists => true);
SELECT remove_compression_policy('issues', if_exists => true);
SELECT remove_compression_policy('pull_requests', if_exists => true);
SELECT remove_compression_policy('commits', if_exists => true);

CREATE MATERIALIZED VIEW commits_daily_stats AS
SELECT
    date_trunc('day', committed_at, 'UTC') AS day,
    repository_id,
    count(*) AS commit_count,
    sum(additions) AS total_additions,
    sum(deletions) AS total_deletions
FROM commits
GROUP BY 1, 2;
CREATE UNIQUE INDEX commits_daily_stats_key ON commits_daily_stats (day, repository_id);

CREATE MATERIALIZED VIEW pull_requests_weekly_metrics AS
SELECT
    date_trunc('week', created_at, 'UTC') AS week,
    repository_id,
    count(*) AS pr_count,
    avg(review_time_hours) AS avg_review_time,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY review_time_hours) AS median_review_time
FROM pull_requests
GROUP BY 1, 2;
CREATE UNIQUE INDEX pull_requests_weekly_metrics_key ON pull_requests_weekly_metrics (week, repository_id);
