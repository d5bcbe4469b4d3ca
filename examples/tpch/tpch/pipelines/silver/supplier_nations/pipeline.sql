-- @description: Suppliers with the names of their nation and region.
SELECT
  s.s_suppkey AS supplier_key,
  trim(s.s_name) AS supplier_name,
  n.n_nationkey AS nation_key,
  trim(n.n_name) AS nation_name,
  trim(r.r_name) AS region_name
FROM {{ ref('bronze.supplier') }} AS s
JOIN {{ ref('bronze.nation') }} AS n ON n.n_nationkey = s.s_nationkey
JOIN {{ ref('bronze.region') }} AS r ON r.r_regionkey = n.n_regionkey
