-- @severity: error
-- @description: c_custkey identifies a row
SELECT c_custkey, count(*) AS copies
FROM {{ this }}
GROUP BY c_custkey
HAVING count(*) > 1
