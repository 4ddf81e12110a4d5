-- devrev-batch: needs timescaledb
-- There is nothing to take back: 0004 drops the aggregates.
SELECT 1;
