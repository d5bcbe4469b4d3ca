-- @severity: error
-- @description: o_orderkey identifies a row
SELECT o_orderkey, count(*) AS copies
FROM {{ this }}
GROUP BY o_orderkey
HAVING count(*) > 1
