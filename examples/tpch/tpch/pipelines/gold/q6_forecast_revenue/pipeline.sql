-- @description: TPC-H Q6, what dropping small discounts would have earned.
SELECT sum(extended_price * discount) AS revenue
FROM {{ ref('silver.order_lines') }}
WHERE ship_date >= DATE '1994-01-01'
  AND ship_date < DATE '1995-01-01'
  AND discount BETWEEN 0.05 AND 0.07
  AND quantity < 24
