-- @description: Which supplier sells which part, at what cost.
SELECT ps_partkey, ps_suppkey, ps_availqty,
       CAST(ps_supplycost AS DECIMAL(15, 2)) AS ps_supplycost,
       ps_comment
FROM read_csv('{{ landing_zone("partsupp") }}')
