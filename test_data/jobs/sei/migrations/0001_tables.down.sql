DROP TABLE metrics_daily, incidents, deployments, sprints, issues, pull_requests, commits, repositories, newest_events;
DROP FUNCTION keep_newest_event();
