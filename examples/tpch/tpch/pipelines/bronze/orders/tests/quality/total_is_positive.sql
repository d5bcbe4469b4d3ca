-- @severity: error
-- @description: an order costs something
SELECT o_orderkey, o_totalprice
FROM {{ this }}
WHERE o_totalprice <= 0
