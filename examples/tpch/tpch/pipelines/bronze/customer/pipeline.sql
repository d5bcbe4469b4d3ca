-- @description: Customers with their market segment.
SELECT c_custkey, c_name, c_address, c_nationkey, c_phone,
       CAST(c_acctbal AS DECIMAL(15, 2)) AS c_acctbal,
       c_mktsegment, c_comment
FROM read_csv('{{ landing_zone("customer") }}')
