-- @severity: error
-- @description: n_nationkey identifies a row
SELECT n_nationkey, count(*) AS copies
FROM {{ this }}
GROUP BY n_nationkey
HAVING count(*) > 1
