DROP VIEW sprint_velocity, issue_stage_times, issue_cycle_times, pull_request_times, time_to_restore, change_failure_rate,
    lead_time_for_changes, deployed_commits, deployment_frequency, scoped_deployments, production_deployments, issue_commits,
    commit_pull_requests;
