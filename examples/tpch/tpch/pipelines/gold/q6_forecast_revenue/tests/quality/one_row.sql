-- @severity: error
-- @description: the forecast is one number
SELECT n FROM (SELECT count(*) AS n, count(revenue) AS filled FROM {{ this }}) AS counted
WHERE n <> 1 OR filled <> 1
