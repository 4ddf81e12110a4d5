DROP VIEW commits_by_day;
