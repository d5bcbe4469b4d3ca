-- @description: Orders, one row each.
SELECT o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate,
       o_orderpriority, o_clerk, o_shippriority, o_comment
FROM read_parquet('{{ landing_zone("orders") }}')
