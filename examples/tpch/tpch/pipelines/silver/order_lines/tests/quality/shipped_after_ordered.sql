-- @severity: error
-- @description: nothing ships before it is ordered
SELECT order_key, line_number, order_date, ship_date
FROM {{ this }}
WHERE ship_date < order_date
