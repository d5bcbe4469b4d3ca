-- @severity: error
-- @description: the joins neither lose nor multiply a line
SELECT lines.n AS bronze_lines, joined.n AS silver_lines
FROM (SELECT count(*) AS n FROM {{ ref('bronze.lineitem') }}) AS lines
CROSS JOIN (SELECT count(*) AS n FROM {{ this }}) AS joined
WHERE lines.n <> joined.n
