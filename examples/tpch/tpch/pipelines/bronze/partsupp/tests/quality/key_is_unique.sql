-- @severity: error
-- @description: ps_partkey, ps_suppkey identifies a row
SELECT ps_partkey, ps_suppkey, count(*) AS copies
FROM {{ this }}
GROUP BY ps_partkey, ps_suppkey
HAVING count(*) > 1
