-- @description: TPC-H Q3, the ten unshipped orders of most value.
SELECT
  order_key,
  sum(discounted_price) AS revenue,
  order_date,
  ship_priority
FROM {{ ref('silver.order_lines') }}
WHERE market_segment = 'BUILDING'
  AND order_date < DATE '1995-03-15'
  AND ship_date > DATE '1995-03-15'
GROUP BY order_key, order_date, ship_priority
ORDER BY revenue DESC, order_date, order_key
LIMIT 10
