-- @description: Order lines: the fact table.
SELECT *
FROM read_csv(
  '{{ landing_zone("lineitem") }}',
  columns => 'l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT,
              l_quantity DECIMAL(15, 2), l_extendedprice DECIMAL(15, 2),
              l_discount DECIMAL(15, 2), l_tax DECIMAL(15, 2),
              l_returnflag VARCHAR, l_linestatus VARCHAR,
              l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE,
              l_shipinstruct VARCHAR, l_shipmode VARCHAR, l_comment VARCHAR'
)
