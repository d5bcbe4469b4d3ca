-- @severity: error
-- @description: every n_regionkey exists in bronze.region
SELECT DISTINCT n_regionkey
FROM {{ this }}
WHERE n_regionkey NOT IN (SELECT r_regionkey FROM {{ ref('bronze.region') }})
