//! What the samples amount to. Each was worked out by hand from the messages, before a query was written.

/// A query, and its rows.
pub(in crate::load) const FIGURES: &[(&str, &[&str])] = &[
    // Seven messages of commits and a repeat are five commits. def456 has the lines of the event of 09:00Z: those of 08:30Z came
    // after it, and its first event once more. 10:00+02:00 is 08:00Z, and the address is trimmed and in lower case.
    (
        "SELECT repository_id, sha, author_email, additions, deletions, to_char(committed_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI') \
         FROM commits",
        &[
            "(repo-123,0a1b2c,ana.sousa@example.com,,,\"10-02 16:00\")",
            "(repo-123,abc123,user@example.com,45,12,\"10-01 12:00\")",
            "(repo-123,def456,ana.sousa@example.com,11,2,\"10-02 08:00\")",
            "(repo-456,5d5d5d,li@example.com,5,5,\"10-07 08:00\")",
            "(repo-456,99ffee,li@example.com,30,0,\"10-06 09:00\")",
        ],
    ),
    // A commit's request is the one that it names (def456, 99ffee), or the one that it merged (0a1b2c, 5d5d5d).
    (
        "SELECT sha, number FROM commit_pull_requests",
        &["(0a1b2c,7)", "(5d5d5d,4)", "(99ffee,3)", "(def456,7)"],
    ),
    // UTF-8 looks like a key.
    (
        "SELECT issue_key, sha FROM issue_commits",
        &["(PROJ-123,0a1b2c)", "(PROJ-123,def456)", "(PROJ-124,0a1b2c)", "(PROJ-124,5d5d5d)"],
    ),
    // 7: ready on the 1st at 13:00, approved on the 2nd at 13:00: 24 h; made on the 1st at 9:00, merged on the 2nd at 16:00: 31 h.
    // 4: made on the 6th at 10:00, approved at 16:00: 6 h; merged on the 7th at 8:00: 22 h.
    (
        "SELECT number, state, has_conflicts, review_time_hours, cycle_time_hours FROM pull_requests",
        &["(3,open,t,,)", "(4,merged,,6.0,22.0)", "(7,merged,f,24.0,31.0)"],
    ),
    // The example of the earlier service: created 2025-09-25T10:00Z, resolved 2025-10-01T12:00Z: 6 days and 2 hours, 6.08 days.
    // PROJ-125: from the beginning of the 2nd to the 4th at 12:00 (1759579200): 2.5 days.
    (
        "SELECT issue_key, status, assignee, story_points, cycle_time_days FROM issues",
        &[
            "(PROJ-123,Done,john@example.com,5,6.08)",
            "(PROJ-124,\"In Progress\",,3,)",
            "(PROJ-125,Done,,,2.5)",
            "(PROJ-126,\"To Do\",,8,)",
        ],
    ),
    // The older of two events came last.
    (
        "SELECT repository_id, name, team, is_archived FROM repositories",
        &["(repo-123,web,payments,f)", "(repo-456,api,platform,f)"],
    ),
    (
        "SELECT issue_type, period, starts_on, resolved, mean_days, median_days, p90_days FROM issue_cycle_times WHERE period <> 'day'",
        &[
            "(Bug,month,2025-10-01,1,2.50,2.50,2.50)",
            "(Bug,week,2025-09-29,1,2.50,2.50,2.50)",
            "(Story,month,2025-10-01,1,6.08,6.08,6.08)",
            "(Story,week,2025-09-29,1,6.08,6.08,6.08)",
        ],
    ),
    // To Do from the 25th at 10:00 to the 26th at 10:00, then In Progress to the 1st at 12:00: 5 days and 2 hours.
    (
        "SELECT issue_key, stage, hours FROM issue_stage_times",
        &["(PROJ-123,\"In Progress\",122.00)", "(PROJ-123,\"To Do\",24.00)", "(PROJ-123,Done,)"],
    ),
    // Sprint 12: 5 and 3 points and an issue without, of which the 5 and the one without are done: 2 of 3 issues, 5 of 8 points.
    // Its mean velocity is that of 0 and 5. Sprint 13 goes on: it has none of its own in the mean.
    (
        "SELECT sprint_id, planned_issues, completed_issues, planned_points, velocity, completed_issues_percent, \
         completed_points_percent, mean_velocity FROM sprint_velocity",
        &["(11,0,0,0,0,,,0.00)", "(12,3,2,8,5,66.67,62.50,2.50)", "(13,1,0,8,0,0.00,0.00,2.50)"],
    ),
    // dep-1 on the 1st, dep-3 on the 3rd (12:00+02:00), dep-5 on the 7th and dep-6 on the 8th. dep-2 failed, and dep-4 was for
    // staging. The 29th of September and the 6th of October are Mondays.
    (
        "SELECT period, starts_on, deployments FROM deployment_frequency WHERE scope = 'all'",
        &[
            "(day,2025-10-01,1)",
            "(day,2025-10-02,0)",
            "(day,2025-10-03,1)",
            "(day,2025-10-04,0)",
            "(day,2025-10-05,0)",
            "(day,2025-10-06,0)",
            "(day,2025-10-07,1)",
            "(day,2025-10-08,1)",
            "(month,2025-10-01,4)",
            "(week,2025-09-29,2)",
            "(week,2025-10-06,2)",
        ],
    ),
    (
        "SELECT scope, name, deployments FROM deployment_frequency WHERE period = 'month' AND scope <> 'all'",
        &["(repository,repo-123,2)", "(repository,repo-456,2)", "(team,payments,2)", "(team,platform,2)"],
    ),
    // abc123: from 12:00 to dep-1 at 18:00. def456 and 0a1b2c: from the 2nd at 8:00 and 16:00 to dep-3 on the 3rd at 10:00, and not
    // to dep-2, which failed. 5d5d5d: from 8:00 to dep-5 at 12:00. 99ffee's request is not merged.
    (
        "SELECT sha, deployment_id, lead_time_hours FROM deployed_commits",
        &["(0a1b2c,dep-3,18.00)", "(5d5d5d,dep-5,4.00)", "(abc123,dep-1,6.00)", "(def456,dep-3,26.00)"],
    ),
    // Of 4, 6, 18 and 26 hours: p50 is between 6 and 18; p90 is 0.7 of the way from 18 to 26, for 0.9 * 3 = 2.7; p95 is 0.85 of it.
    // Of 6, 18 and 26: p90 is 0.8 of the way from 18 to 26, p95 0.9.
    (
        "SELECT scope, name, commits, p50_hours, p90_hours, p95_hours FROM lead_time_for_changes WHERE period = 'month'",
        &[
            "(all,all,4,12.00,23.60,24.80)",
            "(repository,repo-123,3,18.00,24.40,25.20)",
            "(repository,repo-456,1,4.00,4.00,4.00)",
            "(team,payments,3,18.00,24.40,25.20)",
            "(team,platform,1,4.00,4.00,4.00)",
        ],
    ),
    (
        "SELECT starts_on, commits, p50_hours FROM lead_time_for_changes WHERE period = 'week' AND scope = 'all'",
        &["(2025-09-29,3,18.00)", "(2025-10-06,1,4.00)"],
    ),
    // inc-1 names dep-3, and dep-5 was rolled back: 1 of 2 up to the 3rd, 2 of 3 up to the 7th, 2 of 4 up to the 8th.
    (
        "SELECT day, deployments, failures, failure_percent FROM change_failure_rate WHERE scope = 'all'",
        &[
            "(2025-10-01,1,0,0.00)",
            "(2025-10-02,1,0,0.00)",
            "(2025-10-03,2,1,50.00)",
            "(2025-10-04,2,1,50.00)",
            "(2025-10-05,2,1,50.00)",
            "(2025-10-06,2,1,50.00)",
            "(2025-10-07,3,2,66.67)",
            "(2025-10-08,4,2,50.00)",
        ],
    ),
    // 2.5 hours and 1 hour; inc-3 is open.
    (
        "SELECT scope, name, incidents, restored, mean_hours, median_hours FROM time_to_restore WHERE period = 'month'",
        &[
            "(all,all,3,2,1.75,1.75)",
            "(repository,repo-123,1,1,2.50,2.50)",
            "(repository,repo-456,2,1,1.00,1.00)",
            "(team,payments,1,1,2.50,2.50)",
            "(team,platform,2,1,1.00,1.00)",
        ],
    ),
    // 24 and 6 hours, 31 and 22.
    (
        "SELECT merged, mean_review_hours, median_review_hours, mean_cycle_hours, median_cycle_hours FROM pull_request_times WHERE \
         period = 'month' AND scope = 'all'",
        &["(2,15.00,15.00,26.50,26.50)"],
    ),
    (
        "SELECT to_char(day AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), repository_id, commit_count, total_additions, total_deletions FROM \
         commits_daily_stats",
        &[
            "(\"10-01 00:00\",repo-123,1,45,12)",
            "(\"10-02 00:00\",repo-123,2,11,2)",
            "(\"10-06 00:00\",repo-456,1,30,0)",
            "(\"10-07 00:00\",repo-456,1,5,5)",
        ],
    ),
    (
        "SELECT to_char(week AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), repository_id, pr_count, round(avg_review_time, 2), \
         median_review_time FROM pull_requests_weekly_metrics",
        &["(\"09-29 00:00\",repo-123,1,24.00,24)", "(\"10-06 00:00\",repo-456,2,6.00,6)"],
    ),
    // Days on which nothing was done are there, with zeros.
    (
        "SELECT metric_date, commits, authors, additions, deletions, pull_requests_opened, pull_requests_merged, \
         average_review_hours, average_cycle_hours, deployments, failed_changes, incidents, average_restore_hours FROM metrics_daily \
         WHERE repository_id = 'repo-456' AND metric_date >= '2025-10-05'",
        &[
            "(2025-10-05,0,0,0,0,0,0,,,0,0,0,)",
            "(2025-10-06,1,1,30,0,2,0,,,0,0,0,)",
            "(2025-10-07,1,1,5,5,0,1,6.00,22.00,1,1,1,1.00)",
            "(2025-10-08,0,0,0,0,0,0,,,1,0,0,)",
            "(2025-10-09,0,0,0,0,0,0,,,0,0,1,)",
            "(2025-10-10,0,0,0,0,0,0,,,0,0,0,)",
        ],
    ),
    // 17 days of two repositories, from the 24th of September.
    (
        "SELECT count(*), sum(commits), sum(additions), sum(deployments), sum(failed_changes) FROM metrics_daily HAVING count(*) > 0",
        &["(34,5,91,4,2)"],
    ),
];
