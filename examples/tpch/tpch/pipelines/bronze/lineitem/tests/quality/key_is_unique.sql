-- @severity: error
-- @description: l_orderkey, l_linenumber identifies a row
SELECT l_orderkey, l_linenumber, count(*) AS copies
FROM {{ this }}
GROUP BY l_orderkey, l_linenumber
HAVING count(*) > 1
