CREATE VIEW commits_by_day AS
SELECT date(committed_at) AS day, count(*) AS commits
FROM commits
GROUP BY date(committed_at);
