-- Figures. Days, weeks (from Monday) and months are those of UTC. `scope` is repository, team or all, and `name` says which.

-- The pull request of a commit: the one that the commit names, or else the one that it merged.
CREATE VIEW commit_pull_requests AS
SELECT c.repository_id, c.sha, c.committed_at, pr.number, pr.created_at, pr.merged_at
FROM commits AS c
CROSS JOIN LATERAL (
    SELECT p.number, p.created_at, p.merged_at
    FROM pull_requests AS p
    WHERE p.repository_id = c.repository_id AND (p.number = c.pull_request_number OR p.merge_commit_sha = c.sha)
    ORDER BY p.number IS NOT DISTINCT FROM c.pull_request_number DESC, p.merged_at, p.number
    LIMIT 1
) AS pr;

-- The commits whose message has the key of an issue. What only looks like a key, such as UTF-8, is none of an issue.
CREATE VIEW issue_commits AS
SELECT i.issue_key, i.project_key, c.repository_id, c.sha, c.author_email, c.committed_at
FROM commits AS c
CROSS JOIN LATERAL unnest(c.issue_keys) AS k (issue_key)
JOIN issues AS i ON i.issue_key = k.issue_key;

-- Changes that reached production. One caused a failure if it was rolled back or an incident names it.
CREATE VIEW production_deployments AS
SELECT
    d.deployment_id,
    d.repository_id,
    r.team,
    d.deployed_at,
    -- It has the commits up to the deployed one, or up to its time where that is not known.
    coalesce(c.committed_at, d.deployed_at) AS commits_until,
    d.status = 'rolled_back'
        OR EXISTS (SELECT FROM incidents AS i WHERE i.deployment_id = d.deployment_id) AS caused_failure
FROM deployments AS d
LEFT JOIN repositories AS r ON r.repository_id = d.repository_id
LEFT JOIN LATERAL (
    SELECT o.committed_at FROM commits AS o WHERE o.repository_id = d.repository_id AND o.sha = d.sha LIMIT 1
) AS c ON true
WHERE d.environment = 'production' AND d.status <> 'failed';

CREATE VIEW scoped_deployments AS
SELECT s.scope, s.name, d.deployment_id, d.deployed_at AT TIME ZONE 'UTC' AS deployed_at, d.caused_failure
FROM production_deployments AS d
CROSS JOIN LATERAL (VALUES ('repository', d.repository_id), ('team', d.team), ('all', 'all')) AS s (scope, name)
WHERE s.name IS NOT NULL;

-- DORA 1: deployments a day, a week and a month, from the first to the last, with those that have none.
CREATE VIEW deployment_frequency AS
WITH counted AS (
    SELECT p.period, date_trunc(p.period, d.deployed_at) AS starts_at, d.scope, d.name, count(*) AS deployments
    FROM scoped_deployments AS d
    CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period)
    GROUP BY 1, 2, 3, 4
)
SELECT period, CAST(starts_at AS date) AS starts_on, scope, name, CAST(sum(deployments) AS bigint) AS deployments
FROM (
    SELECT * FROM counted
    UNION ALL
    SELECT f.period, t.starts_at, f.scope, f.name, 0
    FROM (
        SELECT period, scope, name, min(starts_at) AS first_at, max(starts_at) AS last_at
        FROM counted
        GROUP BY period, scope, name
    ) AS f
    CROSS JOIN LATERAL generate_series(f.first_at, f.last_at, CAST('1 ' || f.period AS interval)) AS t (starts_at)
) AS c
GROUP BY period, starts_at, scope, name;

-- Each commit with the deployment that first brought it to production. A commit of a pull request is not there before
-- that is merged.
CREATE VIEW deployed_commits AS
SELECT
    c.repository_id,
    d.team,
    c.sha,
    c.committed_at,
    d.deployment_id,
    d.deployed_at,
    round(extract(epoch FROM d.deployed_at - c.committed_at) / 3600, 2) AS lead_time_hours
FROM commits AS c
LEFT JOIN commit_pull_requests AS pr
    ON pr.repository_id = c.repository_id AND pr.sha = c.sha AND pr.committed_at = c.committed_at
CROSS JOIN LATERAL (
    SELECT o.deployment_id, o.deployed_at, o.team
    FROM production_deployments AS o
    WHERE o.repository_id = c.repository_id
        AND o.commits_until >= c.committed_at
        AND o.deployed_at >= greatest(c.committed_at, pr.merged_at)
    ORDER BY o.deployed_at, o.deployment_id
    LIMIT 1
) AS d
WHERE pr.number IS NULL OR pr.merged_at IS NOT NULL;

-- DORA 2: from the commit to production, by the time of the deployment.
CREATE VIEW lead_time_for_changes AS
SELECT
    p.period,
    CAST(date_trunc(p.period, d.deployed_at AT TIME ZONE 'UTC') AS date) AS starts_on,
    s.scope,
    s.name,
    count(*) AS commits,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY d.lead_time_hours) AS numeric), 2) AS p50_hours,
    round(CAST(percentile_cont(0.9) WITHIN GROUP (ORDER BY d.lead_time_hours) AS numeric), 2) AS p90_hours,
    round(CAST(percentile_cont(0.95) WITHIN GROUP (ORDER BY d.lead_time_hours) AS numeric), 2) AS p95_hours
FROM deployed_commits AS d
CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period)
CROSS JOIN LATERAL (VALUES ('repository', d.repository_id), ('team', d.team), ('all', 'all')) AS s (scope, name)
WHERE s.name IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- DORA 3: of the deployments of a day and the 29 days before it, how many percent caused a failure.
CREATE VIEW change_failure_rate AS
WITH counted AS (
    SELECT
        date_trunc('day', deployed_at) AS starts_at,
        scope,
        name,
        count(*) AS deployments,
        count(*) FILTER (WHERE caused_failure) AS failures
    FROM scoped_deployments
    GROUP BY 1, 2, 3
)
SELECT
    day,
    scope,
    name,
    deployments,
    failures,
    round(100.0 * failures / nullif(deployments, 0), 2) AS failure_percent
FROM (
    SELECT
        CAST(starts_at AS date) AS day,
        scope,
        name,
        CAST(sum(sum(deployments)) OVER last_days AS bigint) AS deployments,
        CAST(sum(sum(failures)) OVER last_days AS bigint) AS failures
    FROM (
        SELECT * FROM counted
        UNION ALL
        SELECT t.starts_at, f.scope, f.name, 0, 0
        FROM (
            SELECT scope, name, min(starts_at) AS first_at, max(starts_at) AS last_at
            FROM counted
            GROUP BY scope, name
        ) AS f
        CROSS JOIN LATERAL generate_series(f.first_at, f.last_at, INTERVAL '1 day') AS t (starts_at)
    ) AS c
    GROUP BY starts_at, scope, name
    WINDOW last_days AS (PARTITION BY scope, name ORDER BY starts_at ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)
) AS w;

-- DORA 4: from an incident's detection to its resolution, by the time of detection.
CREATE VIEW time_to_restore AS
SELECT
    p.period,
    CAST(date_trunc(p.period, i.detected_at AT TIME ZONE 'UTC') AS date) AS starts_on,
    s.scope,
    s.name,
    count(*) AS incidents,
    count(i.resolved_at) AS restored,
    round(avg(extract(epoch FROM i.resolved_at - i.detected_at) / 3600), 2) AS mean_hours,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (
        ORDER BY extract(epoch FROM i.resolved_at - i.detected_at) / 3600
    ) AS numeric), 2) AS median_hours
FROM incidents AS i
LEFT JOIN repositories AS r ON r.repository_id = i.repository_id
CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period)
CROSS JOIN LATERAL (VALUES ('repository', i.repository_id), ('team', r.team), ('all', 'all')) AS s (scope, name)
WHERE s.name IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- Pull requests by the time of their merge. Review time ends with the approval, and begins when the author has said that
-- it is ready.
CREATE VIEW pull_request_times AS
SELECT
    p.period,
    CAST(date_trunc(p.period, pr.merged_at AT TIME ZONE 'UTC') AS date) AS starts_on,
    s.scope,
    s.name,
    count(*) AS merged,
    round(avg(pr.review_time_hours), 2) AS mean_review_hours,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY pr.review_time_hours) AS numeric), 2) AS median_review_hours,
    round(avg(pr.cycle_time_hours), 2) AS mean_cycle_hours,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY pr.cycle_time_hours) AS numeric), 2) AS median_cycle_hours
FROM pull_requests AS pr
LEFT JOIN repositories AS r ON r.repository_id = pr.repository_id
CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period)
CROSS JOIN LATERAL (VALUES ('repository', pr.repository_id), ('team', r.team), ('all', 'all')) AS s (scope, name)
WHERE pr.merged_at IS NOT NULL AND s.name IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- Issues by the time of their resolution.
CREATE VIEW issue_cycle_times AS
SELECT
    p.period,
    CAST(date_trunc(p.period, i.resolved_at AT TIME ZONE 'UTC') AS date) AS starts_on,
    i.project_key,
    i.issue_type,
    count(*) AS resolved,
    round(avg(i.cycle_time_days), 2) AS mean_days,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY i.cycle_time_days) AS numeric), 2) AS median_days,
    round(CAST(percentile_cont(0.9) WITHIN GROUP (ORDER BY i.cycle_time_days) AS numeric), 2) AS p90_days
FROM issues AS i
CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period)
WHERE i.resolved_at IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- How long an issue was in each status, where its events have transitions. It is in the last one still: no time.
CREATE VIEW issue_stage_times AS
SELECT
    i.issue_key,
    i.project_key,
    i.issue_type,
    s.stage,
    s.entered_at,
    s.left_at,
    round(extract(epoch FROM s.left_at - s.entered_at) / 3600, 2) AS hours
FROM issues AS i
CROSS JOIN LATERAL (
    SELECT e.stage, e.entered_at, lead(e.entered_at) OVER (ORDER BY e.entered_at, e.n) AS left_at
    FROM (
        SELECT 0 AS n, i.transitions -> 0 ->> 'from' AS stage, i.created_at AS entered_at
        UNION ALL
        SELECT t.n, t.change ->> 'to', CAST(t.change ->> 'at' AS timestamptz)
        FROM jsonb_array_elements(i.transitions) WITH ORDINALITY AS t (change, n)
    ) AS e
) AS s
WHERE i.transitions <> '[]';

-- Sprints: velocity is the story points of what was resolved between start and end, and its mean is that of a sprint and the
-- two before it, of those that are completed.
CREATE VIEW sprint_velocity AS
SELECT
    w.*,
    round(100.0 * completed_issues / nullif(planned_issues, 0), 2) AS completed_issues_percent,
    round(100.0 * velocity / nullif(planned_points, 0), 2) AS completed_points_percent,
    round(avg(velocity) FILTER (WHERE is_completed) OVER (
        PARTITION BY project_key ORDER BY started_at, sprint_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW
    ), 2) AS mean_velocity
FROM (
    SELECT
        s.sprint_id,
        s.project_key,
        s.name,
        s.started_at,
        coalesce(s.completed_at, s.ends_at) AS ended_at,
        s.completed_at IS NOT NULL AS is_completed,
        count(i.issue_key) AS planned_issues,
        count(i.issue_key) FILTER (WHERE d.is_done) AS completed_issues,
        coalesce(sum(i.story_points), 0) AS planned_points,
        coalesce(sum(i.story_points) FILTER (WHERE d.is_done), 0) AS velocity
    FROM sprints AS s
    LEFT JOIN issues AS i ON i.sprint_id = s.sprint_id
    CROSS JOIN LATERAL (
        SELECT i.resolved_at >= coalesce(s.started_at, '-infinity')
            AND i.resolved_at <= coalesce(s.completed_at, s.ends_at, 'infinity') AS is_done
    ) AS d
    GROUP BY s.sprint_id
) AS w;
