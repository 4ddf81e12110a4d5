-- devrev-batch: needs timescaledb, no transaction
CALL refresh_continuous_aggregate('commits_daily_stats', NULL, NULL);
CALL refresh_continuous_aggregate('pull_requests_weekly_metrics', NULL, NULL);
