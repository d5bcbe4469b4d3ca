-- @description: Every order line with its order and its customer, money computed once.
SELECT
  l.l_orderkey AS order_key,
  l.l_linenumber AS line_number,
  l.l_suppkey AS supplier_key,
  l.l_partkey AS part_key,
  o.o_custkey AS customer_key,
  c.c_nationkey AS customer_nation_key,
  trim(c.c_mktsegment) AS market_segment,
  o.o_orderdate AS order_date,
  o.o_shippriority AS ship_priority,
  l.l_shipdate AS ship_date,
  l.l_returnflag AS return_flag,
  l.l_linestatus AS line_status,
  l.l_quantity AS quantity,
  l.l_extendedprice AS extended_price,
  l.l_discount AS discount,
  l.l_tax AS tax,
  CAST(l.l_extendedprice * (1 - l.l_discount) AS DECIMAL(25, 4)) AS discounted_price,
  CAST(l.l_extendedprice * (1 - l.l_discount) * (1 + l.l_tax) AS DECIMAL(27, 6)) AS charge
FROM {{ ref('bronze.lineitem') }} AS l
JOIN {{ ref('bronze.orders') }} AS o ON o.o_orderkey = l.l_orderkey
JOIN {{ ref('bronze.customer') }} AS c ON c.c_custkey = o.o_custkey
