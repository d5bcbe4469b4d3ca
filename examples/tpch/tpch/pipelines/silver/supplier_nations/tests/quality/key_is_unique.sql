-- @severity: error
-- @description: supplier_key identifies a row
SELECT supplier_key, count(*) AS copies
FROM {{ this }}
GROUP BY supplier_key
HAVING count(*) > 1
