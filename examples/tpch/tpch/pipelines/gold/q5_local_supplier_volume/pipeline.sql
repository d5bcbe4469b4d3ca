-- @description: TPC-H Q5, revenue made through suppliers of the customer's own nation.
SELECT
  s.nation_name,
  sum(l.discounted_price) AS revenue
FROM {{ ref('silver.order_lines') }} AS l
JOIN {{ ref('silver.supplier_nations') }} AS s
  ON s.supplier_key = l.supplier_key AND s.nation_key = l.customer_nation_key
WHERE s.region_name = 'ASIA'
  AND l.order_date >= DATE '1994-01-01'
  AND l.order_date < DATE '1995-01-01'
GROUP BY s.nation_name
ORDER BY revenue DESC
