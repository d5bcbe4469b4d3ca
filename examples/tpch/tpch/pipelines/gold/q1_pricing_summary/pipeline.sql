-- @description: TPC-H Q1, the pricing summary report.
SELECT
  return_flag,
  line_status,
  sum(quantity) AS sum_qty,
  sum(extended_price) AS sum_base_price,
  sum(discounted_price) AS sum_disc_price,
  sum(charge) AS sum_charge,
  avg(CAST(quantity AS DOUBLE)) AS avg_qty,
  avg(CAST(extended_price AS DOUBLE)) AS avg_price,
  avg(CAST(discount AS DOUBLE)) AS avg_disc,
  count(*) AS count_order
FROM {{ ref('silver.order_lines') }}
WHERE ship_date <= DATE '1998-12-01' - INTERVAL '90' DAY
GROUP BY return_flag, line_status
ORDER BY return_flag, line_status
