-- @severity: error
-- @description: p_partkey identifies a row
SELECT p_partkey, count(*) AS copies
FROM {{ this }}
GROUP BY p_partkey
HAVING count(*) > 1
