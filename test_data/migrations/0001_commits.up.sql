CREATE TABLE commits (
    sha text NOT NULL,
    author text NOT NULL,
    committed_at timestamp NOT NULL,
    PRIMARY KEY (sha, committed_at)
);
