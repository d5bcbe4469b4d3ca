-- @severity: error
-- @description: the report shows ten orders
SELECT n FROM (SELECT count(*) AS n FROM {{ this }}) AS counted WHERE counted.n > 10
