-- The tables of the delivery metrics. Where TimescaleDB is, 0004 makes hypertables of some, whose keys have to contain
-- the time by which they are cut: so the keys contain it here too.

CREATE TABLE repositories (
    repository_id text PRIMARY KEY,
    name text,
    team text,
    default_branch text,
    language text,
    is_archived boolean,
    open_issues integer,
    stars integer,
    pushed_at timestamptz,
    source text,
    event_at timestamptz NOT NULL
);

CREATE TABLE commits (
    repository_id text NOT NULL,
    sha text NOT NULL,
    author_email text,
    author_name text,
    message text,
    files_changed integer,
    additions integer,
    deletions integer,
    pull_request_number integer,
    issue_keys text[] NOT NULL DEFAULT '{}',
    committed_at timestamptz NOT NULL,
    source text,
    event_type text,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (repository_id, sha, committed_at)
);
CREATE INDEX commits_by_time ON commits (repository_id, committed_at DESC);
CREATE INDEX commits_by_issue ON commits USING gin (issue_keys);

CREATE TABLE pull_requests (
    repository_id text NOT NULL,
    number integer NOT NULL,
    title text,
    author_email text,
    state text,
    approvals integer,
    has_conflicts boolean,
    files_changed integer,
    additions integer,
    deletions integer,
    created_at timestamptz NOT NULL,
    ready_at timestamptz,
    first_review_at timestamptz,
    approved_at timestamptz,
    merged_at timestamptz,
    closed_at timestamptz,
    merge_commit_sha text,
    review_time_hours numeric,
    cycle_time_hours numeric,
    source text,
    event_type text,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (repository_id, number, created_at)
);
CREATE INDEX pull_requests_by_merge ON pull_requests (repository_id, merge_commit_sha);

CREATE TABLE issues (
    issue_key text NOT NULL,
    project_key text NOT NULL,
    issue_type text,
    status text,
    assignee text,
    reporter text,
    story_points numeric,
    sprint_id text,
    created_at timestamptz NOT NULL,
    resolved_at timestamptz,
    cycle_time_days numeric,
    transitions jsonb NOT NULL DEFAULT '[]',
    source text,
    event_type text,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (issue_key, created_at)
);
CREATE INDEX issues_by_sprint ON issues (sprint_id);
CREATE INDEX issues_by_resolution ON issues (project_key, resolved_at);

CREATE TABLE sprints (
    sprint_id text PRIMARY KEY,
    project_key text NOT NULL,
    name text,
    state text,
    started_at timestamptz,
    ends_at timestamptz,
    completed_at timestamptz,
    source text,
    event_at timestamptz NOT NULL
);

CREATE TABLE deployments (
    deployment_id text PRIMARY KEY,
    repository_id text NOT NULL,
    environment text NOT NULL,
    sha text,
    status text NOT NULL CHECK (status IN ('success', 'failed', 'rolled_back')),
    deployed_at timestamptz NOT NULL
);
CREATE INDEX deployments_by_time ON deployments (repository_id, deployed_at);

CREATE TABLE incidents (
    incident_id text PRIMARY KEY,
    repository_id text NOT NULL,
    deployment_id text,
    issue_key text,
    severity text,
    detected_at timestamptz NOT NULL,
    resolved_at timestamptz,
    CHECK (resolved_at >= detected_at)
);
CREATE INDEX incidents_by_deployment ON incidents (deployment_id);

CREATE TABLE metrics_daily (
    metric_date date NOT NULL,
    repository_id text NOT NULL,
    commits bigint NOT NULL,
    authors bigint NOT NULL,
    additions bigint NOT NULL,
    deletions bigint NOT NULL,
    pull_requests_opened bigint NOT NULL,
    pull_requests_merged bigint NOT NULL,
    average_review_hours numeric,
    average_cycle_hours numeric,
    deployments bigint NOT NULL,
    failed_changes bigint NOT NULL,
    incidents bigint NOT NULL,
    average_restore_hours numeric,
    PRIMARY KEY (metric_date, repository_id)
);

-- What is known of a commit, a pull request or an issue, whatever its time: their tables' keys contain the time, so
-- they alone would take an event that has another time for another object.
CREATE TABLE newest_events (
    object text NOT NULL,
    id text NOT NULL,
    at timestamptz NOT NULL,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (object, id)
);

-- Before a row is inserted: one of an older event is left out, and one that is newer and has another time takes the place
-- of the row with the old time. Its arguments are the table, the column with the time, and the one or two that tell objects
-- apart. In a hypertable a trigger is called for chunks, so the table has to be named.
CREATE FUNCTION keep_newest_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_row CONSTANT jsonb := to_jsonb(NEW);
    new_at CONSTANT timestamptz := new_row ->> TG_ARGV[1];
    new_id CONSTANT text := concat_ws(' ', new_row ->> TG_ARGV[2], new_row ->> TG_ARGV[3]);
    known newest_events;
    same_object text;
BEGIN
    INSERT INTO newest_events VALUES (TG_ARGV[0], new_id, new_at, NEW.event_at) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NEW;
    END IF;
    SELECT * INTO known FROM newest_events AS n WHERE n.object = TG_ARGV[0] AND n.id = new_id FOR UPDATE;
    IF known.event_at > NEW.event_at THEN
        RETURN NULL;
    END IF;
    IF known.at <> new_at THEN
        SELECT string_agg(format('%I = %L', c, new_row ->> c), ' AND ') INTO same_object FROM unnest(TG_ARGV[2:]) AS a (c);
        EXECUTE format('DELETE FROM %I WHERE %s AND %I = $1', TG_ARGV[0], same_object, TG_ARGV[1]) USING known.at;
    END IF;
    UPDATE newest_events AS n SET at = new_at, event_at = NEW.event_at WHERE n.object = TG_ARGV[0] AND n.id = new_id;
    RETURN NEW;
END
$$;

CREATE TRIGGER keep_newest_event BEFORE INSERT ON commits
    FOR EACH ROW EXECUTE FUNCTION keep_newest_event('commits', 'committed_at', 'repository_id', 'sha');
CREATE TRIGGER keep_newest_event BEFORE INSERT ON pull_requests
    FOR EACH ROW EXECUTE FUNCTION keep_newest_event('pull_requests', 'created_at', 'repository_id', 'number');
CREATE TRIGGER keep_newest_event BEFORE INSERT ON issues
    FOR EACH ROW EXECUTE FUNCTION keep_newest_event('issues', 'created_at', 'issue_key');
