DROP MATERIALIZED VIEW pull_requests_weekly_metrics;
DROP MATERIALIZED VIEW commits_daily_stats;
