-- @severity: error
-- @description: s_suppkey identifies a row
SELECT s_suppkey, count(*) AS copies
FROM {{ this }}
GROUP BY s_suppkey
HAVING count(*) > 1
