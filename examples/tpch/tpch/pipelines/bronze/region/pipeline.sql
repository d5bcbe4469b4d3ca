-- @description: The five regions, as they came in.
-- @merge_strategy: full_refresh
SELECT r_regionkey, r_name, r_comment
FROM read_csv('{{ landing_zone("region") }}')
