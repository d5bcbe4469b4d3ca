-- @description: Parts and their retail price.
SELECT p_partkey, p_name, p_mfgr, p_brand, p_type, p_size, p_container,
       p_retailprice, p_comment
FROM read_parquet('{{ landing_zone("part") }}')
