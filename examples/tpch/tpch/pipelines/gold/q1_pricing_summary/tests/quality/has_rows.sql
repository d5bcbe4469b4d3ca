-- @severity: error
-- @description: a report without rows is a broken report
SELECT 'empty' AS problem
FROM (SELECT count(*) AS n FROM {{ this }}) AS counted
WHERE counted.n = 0
