-- @severity: error
-- @description: r_regionkey identifies a row
SELECT r_regionkey, count(*) AS copies
FROM {{ this }}
GROUP BY r_regionkey
HAVING count(*) > 1
