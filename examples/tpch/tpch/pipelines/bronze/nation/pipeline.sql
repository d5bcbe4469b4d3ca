-- @description: The nations and the region of each.
SELECT n_nationkey, n_name, n_regionkey, n_comment
FROM read_csv('{{ landing_zone("nation") }}')
