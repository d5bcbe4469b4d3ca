-- @severity: error
-- @description: quantities are positive, discounts at most 10 percent
SELECT l_orderkey, l_linenumber, l_quantity, l_discount
FROM {{ this }}
WHERE l_quantity <= 0 OR l_discount < 0 OR l_discount > 0.10
