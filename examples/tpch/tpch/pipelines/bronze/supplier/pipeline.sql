-- @description: Suppliers with their balance.
SELECT s_suppkey, s_name, s_address, s_nationkey, s_phone,
       CAST(s_acctbal AS DECIMAL(15, 2)) AS s_acctbal,
       s_comment
FROM read_csv('{{ landing_zone("supplier") }}')
