-- One by one: TimescaleDB drops no hypertable together with others.
DROP TABLE metrics_daily;
DROP TABLE incidents;
DROP TABLE deployments;
DROP TABLE sprints;
DROP TABLE issues;
DROP TABLE pull_requests;
DROP TABLE commits;
DROP TABLE repositories;
DROP TABLE newest_events;
DROP FUNCTION keep_newest_event();
